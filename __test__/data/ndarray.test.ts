import test from "ava";
import { NdArray, ndarray } from "../../src/data/ndarray.ts";
import { DataError, OptionError } from "../../src/errors.ts";

test("typed arrays are kept with their shape", (t) => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const array = ndarray(data, [2, 3]);
  t.is(array.data, data);
  t.is(array.dtype, "float32");
  t.is(array.size, 6);
  t.deepEqual(array.toNested(), [
    [1, 2, 3],
    [4, 5, 6],
  ]);
  t.deepEqual(ndarray(data).shape, [6]);
  t.is(ndarray(Int32Array.of(1)).dtype, "int32");
});

test("other typed arrays are converted", (t) => {
  t.deepEqual(ndarray(Uint8Array.of(1, 255)).data, Int32Array.of(1, 255));
  t.deepEqual(ndarray(Float64Array.of(0.5)).data, Float32Array.of(0.5));
  t.deepEqual(ndarray(Uint8Array.of(1), [1], { dtype: "float32" }).data, Float32Array.of(1));
  t.throws(() => ndarray(Uint32Array.of(2 ** 31)), { instanceOf: DataError, message: /element 0 is 2147483648/ });
});

test("nested arrays give their shape, and ragged ones name the place", (t) => {
  t.deepEqual(ndarray([[1, 2], [3, 4], [5, 6]]).shape, [3, 2]); // biome-ignore format: reads as a matrix
  t.deepEqual(ndarray([[1], [2]], undefined, { dtype: "int32" }).data, Int32Array.of(1, 2));
  t.throws(() => ndarray([[1, 2], [3]]), {
    instanceOf: DataError,
    message: /element \[1\] has 1 elements, others have 2/,
  });
  t.throws(() => ndarray([[1], 2] as never), { instanceOf: DataError, message: /element \[1\]/ });
  t.throws(() => ndarray([["a"]] as never), {
    instanceOf: DataError,
    message: /element \[0, 0\]: expected a number, got string/,
  });
  t.throws(() => ndarray([0.5], [1], { dtype: "int32" }), { instanceOf: DataError });
  t.throws(() => ndarray([0.5], [1], { dtype: "float16" as never }), { instanceOf: OptionError });
});

test("a shape must fit the data", (t) => {
  for (const shape of [[5], [2, 2], [-1, -6], [1.5, 4]]) {
    t.throws(() => new NdArray(new Float32Array(6), shape), { instanceOf: DataError }, shape.join());
  }
  t.throws(() => ndarray("text" as never), { instanceOf: DataError });
  t.deepEqual(ndarray(new Float32Array(0), [0, 3]).toNested(), []);
});
