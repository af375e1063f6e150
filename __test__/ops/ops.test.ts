import test from "ava";
import {
  DataError,
  input,
  model,
  ndarray,
  OptionError,
  ops,
  ShapeError,
  type SymbolicTensor,
} from "../../src/index.ts";

const data = Float32Array.from({ length: 24 }, (_, at) => Math.sin(at + 1));

/** What operations make of a tensor `[2, 3, 4]`, whose second size is not known before. */
async function results(make: (x: SymbolicTensor) => SymbolicTensor[]) {
  const x = input({ shape: [null, 4] });
  const outputs = make(x);
  await using made = model({ inputs: x, outputs });
  const values = await made.predict(ndarray(data, [2, 3, 4]));
  return values.map(({ shape, data: numbers }, index) => {
    const known = outputs[index]!.shape;
    return { shape: [...shape], numbers: Array.from(numbers), known };
  });
}

const near = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((value, at) => Math.abs(value - b[at]!) <= 1e-6);

test("what is made of several operations", async (t) => {
  const row = (b: number, s: number) => Array.from(data.slice(b * 12 + s * 4, b * 12 + s * 4 + 4));
  const [stacked, repeated, tiled, squeezed, variance, total, logs, cut, tail, flat] = await results((x) => [
    ops.stack([x, ops.negative(x)], 1),
    ops.repeat(x, 2, 1),
    ops.tile(x, [2, 1]),
    ops.squeeze(ops.expandDims(x, -1)),
    ops.variance(x, { axis: -1 }),
    ops.logsumexp(x, { axis: [1, 2] }),
    ops.logSoftmax(x),
    ops.split(x, 2)[1]!,
    ops.slice(x, [null, [-2], [0, null, 2]]),
    ops.matmul(x, ops.convertToTensor([1, 2, 3, 4])),
  ]);
  t.deepEqual(stacked!.shape, [2, 2, 3, 4]);
  t.deepEqual(
    stacked!.numbers.slice(12, 16),
    row(0, 0).map((value) => -value),
  );
  t.deepEqual(repeated!.shape, [2, 6, 4]);
  t.deepEqual(repeated!.numbers.slice(4, 12), [...row(0, 0), ...row(0, 1)]);
  t.deepEqual(tiled!.shape, [2, 6, 4]);
  t.deepEqual(tiled!.numbers.slice(12, 20), [...row(0, 0), ...row(0, 1)]);
  t.deepEqual(squeezed!.numbers, Array.from(data));
  t.deepEqual(squeezed!.known, [null, null, 4]);
  const mean = row(1, 2).reduce((sum, value) => sum + value, 0) / 4;
  const spread = row(1, 2).reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4;
  t.true(near([variance!.numbers[5]!], [spread]));
  const sum = data.slice(12).reduce((whole, value) => whole + Math.exp(value), 0);
  t.true(near([total!.numbers[1]!], [Math.log(sum)]));
  const exponentials = row(0, 1).map(Math.exp);
  const whole = exponentials.reduce((all, value) => all + value, 0);
  t.true(
    near(
      logs!.numbers.slice(4, 8),
      exponentials.map((value) => Math.log(value / whole)),
    ),
  );
  t.deepEqual(cut!.numbers.slice(0, 2), row(0, 0).slice(2));
  t.deepEqual(tail!.shape, [2, 2, 2]);
  t.deepEqual(tail!.numbers.slice(0, 2), [row(0, 1)[0]!, row(0, 1)[2]!]);
  t.deepEqual(flat!.shape, [2, 3]);
  t.true(near([flat!.numbers[0]!], [row(0, 0).reduce((all, value, at) => all + value * (at + 1), 0)]));
});

test("numbers are constants, ids become floats where floats are needed, truths are 1 and 0", async (t) => {
  const x = input({ shape: [3], dtype: "int32" });
  const outputs = [
    ops.add(x, 2),
    ops.multiply(x, 0.5),
    ops.divide(x, 2),
    ops.notEqual(x, 0),
    ops.where(ops.greater(x, 1), x, -1),
    ops.exp(ops.cast(x, "float32")),
    ops.add(ops.arange(3), x),
    ops.mean(x),
  ];
  t.deepEqual(
    outputs.map(({ dtype }) => dtype),
    ["int32", "float32", "float32", "float32", "int32", "float32", "int32", "float32"],
  );
  const kept = outputs.slice(0, -1).map((y) => (y.dtype === "int32" ? ops.cast(y, "float32") : y));
  await using made = model({ inputs: x, outputs: kept });
  const [sum, half, quotient, truths, chosen, , numbered] = await made.predict(ndarray(Int32Array.of(0, 1, 5), [1, 3]));
  t.deepEqual([...sum!.data], [2, 3, 7]);
  t.deepEqual([...half!.data], [0, 0.5, 2.5]);
  t.deepEqual([...quotient!.data], [0, 0.5, 2.5]);
  t.deepEqual([...truths!.data], [0, 1, 1]);
  t.deepEqual([...chosen!.data], [-1, -1, 5]);
  t.deepEqual([...numbered!.data], [0, 2, 7]);
});

test("unknown sizes are lent by tensors; masks of the past", async (t) => {
  const [numbers, causal, filled] = await results((x) => {
    const [batch, time] = ops.shape(x) as [ops.Size, ops.Size];
    return [
      ops.broadcastTo(ops.cast(ops.arange(time), "float32"), [batch, time]),
      ops.broadcastTo(ops.causalMask(x), [batch, time, time]),
      ops.full([batch, time, 2], 7),
    ];
  });
  t.deepEqual(numbers!.numbers, [0, 1, 2, 0, 1, 2]);
  t.deepEqual(causal!.numbers.slice(0, 9), [1, 0, 0, 1, 1, 0, 1, 1, 1]);
  t.deepEqual(filled!.shape, [2, 3, 2]);
  t.true(filled!.numbers.every((value) => value === 7));
});

test("sequences of no steps", async (t) => {
  const x = input({ shape: [null, 4] });
  const outputs = [
    ops.matmul(ops.transpose(x, [0, 2, 1]), x),
    ops.sum(x, { axis: 1 }),
    ops.softmax(x, 1),
    ops.concatenate([x, ops.flip(x)], 1),
    ops.slice(x, [null, [0, null, 2]]),
    ops.matmul(x, ops.convertToTensor([[1], [1], [1], [1]])),
  ];
  await using made = model({ inputs: x, outputs });
  const found = await made.predict(ndarray(new Float32Array(0), [2, 0, 4]));
  t.deepEqual(
    found.map(({ shape }) => [...shape]),
    [
      [2, 4, 4],
      [2, 4],
      [2, 0, 4],
      [2, 0, 4],
      [2, 0, 4],
      [2, 0, 1],
    ],
  );
  t.true(found[0]!.data.every((value) => value === 0) && found[1]!.data.every((value) => value === 0));
});

test("wrong calls are refused by name", async (t) => {
  const x = input({ shape: [3, 4] });
  const wrong: (() => unknown)[] = [
    () => ops.add(x, [1, [2]] as never),
    () => ops.add(x, Number.NaN),
    () => ops.add("1" as never, x),
    () => ops.sum(x, { axis: 3 }),
    () => ops.sum(x, { axis: [1, 1] }),
    () => ops.sum(x, { axes: 1 } as never),
    () => ops.squeeze(x, 1),
    () => ops.split(x, 3),
    () => ops.slice(x, [null, null, [0, 1, 0]]),
    () => ops.slice(x, [null, null, null, null]),
    () => ops.take(x, ops.arange(2), { axis: 9 }),
    () => ops.cast(x, "float64" as never),
    () => ops.oneHot(ops.arange(2), 0),
    () => ops.convertToTensor([1.5], { dtype: "int32" }),
    () => ops.concatenate([]),
    () => ops.tile(x, [1, 1, 1, 1]),
    () => ops.clip(x, 0, Number.POSITIVE_INFINITY),
  ];
  for (const make of wrong) t.throws(make, { instanceOf: OptionError }, String(make));
  const shapes: (() => unknown)[] = [
    () => ops.add(x, input({ shape: [2, 4] })),
    () => ops.take(x, x),
    () => ops.concatenate([x, input({ shape: [3, 5] })], 1),
    () => ops.broadcastTo(x, [2, 3, 5]),
    () => ops.withMask(x, x),
  ];
  for (const make of shapes) t.throws(make, { instanceOf: ShapeError, message: /layer ops\.\w+: / }, String(make));
  const ids = input({ shape: [2], dtype: "int32" });
  await using picking = model({ inputs: ids, outputs: ops.take(ops.convertToTensor([[1], [2]]), ids, { axis: 0 }) });
  t.deepEqual([...(await picking.predict(ndarray(Int32Array.of(1, -2), [1, 2]))).data], [2, 1]);
  await t.throwsAsync(picking.predict(ndarray(Int32Array.of(1, 2), [1, 2])), {
    instanceOf: DataError,
    message: /id 2/,
  });
});
