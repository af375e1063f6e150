import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { input, layers, loadModel, model, ndarray, OptionError, ops, ShapeError } from "../../src/index.ts";

test("shapes follow from the options, also where sizes are unknown", (t) => {
  const x = input({ shape: [null, 6] });
  t.deepEqual(layers.reshape({ targetShape: [-1, 2] })(x).shape, [null, null, 2]);
  t.deepEqual(layers.reshape({ targetShape: [3, -1] })(input({ shape: [4, 6] })).shape, [null, 3, 8]);
  t.deepEqual(layers.flatten()(x).shape, [null, null]);
  t.deepEqual(layers.flatten()(input({ shape: [] })).shape, [null, 1]);
  t.deepEqual(layers.permute({ dims: [2, 1] })(x).shape, [null, 6, null]);
  t.deepEqual(layers.dot({ axes: 2 })([x, x]).shape, [null, null, null]);
  t.deepEqual(layers.dot({ axes: -1 })([input({ shape: [3] }), input({ shape: [3] })]).shape, [null, 1]);
  const masked = layers.embedding({ inputDim: 4, outputDim: 6, maskZero: true })(
    input({ shape: [null], dtype: "int32" }),
  );
  for (const layer of [layers.reshape({ targetShape: [-1] }), layers.flatten(), layers.permute({ dims: [2, 1] })]) {
    t.false(layer(masked).masked, layer.type);
  }
  t.false(layers.dot({ axes: 2 })([masked, masked]).masked);
  // What was taken apart and joined again has the old size.
  const again = layers.reshape({ targetShape: [-1, 6] })(layers.reshape({ targetShape: [-1, 2] })(x));
  t.notThrows(() => layers.add()([again, x]));
});

test("wrong options and shapes are refused by name", (t) => {
  const wrong: (() => unknown)[] = [
    () => layers.reshape({ targetShape: [-1, -1] }),
    () => layers.reshape({ targetShape: [-2] }),
    () => layers.reshape({ targetShape: 3 as never }),
    () => layers.permute({ dims: [0, 1] }),
    () => layers.permute({ dims: [1, 1] }),
    () => layers.dot({ axes: 0 }),
    () => layers.dot({ axes: [1, 2, 3] as never }),
    () => layers.dot({ axes: [1, "2"] as never }),
    () => layers.dot({ axes: 1, normalise: true } as never),
    () => layers.flatten({ dataFormat: "first" as never }),
    () => ops.reshape(input({ shape: [2] }), [-1, -3]),
    () => ops.reshape([1, 2] as never, [2]),
    () => ops.transpose(input({ shape: [2] }), [0]),
    () => ops.transpose(input({ shape: [2] }), [0, 2]),
    () => ops.matmul(input({ shape: [2] }), [1] as never),
  ];
  for (const make of wrong) t.throws(make, { instanceOf: OptionError }, String(make));
  const cases: [() => unknown, RegExp][] = [
    [
      () => layers.reshape({ targetShape: [4], name: "box" })(input({ shape: [6] })),
      /layer box: the elements of an input of shape \[batch, 6\] cannot take the shape \[batch, 4\]/,
    ],
    [
      () => layers.permute({ dims: [1], name: "turn" })(input({ shape: [2, 3] })),
      /layer turn: expected an input of 2 axes/,
    ],
    [
      () => layers.dot({ axes: 2, name: "score" })([input({ shape: [3] }), input({ shape: [3] })]),
      /layer score: axes: 2/,
    ],
    [
      () => layers.dot({ axes: 1, name: "score" })([input({ shape: [3] }), input({ shape: [4] })]),
      /layer score: expected equal sizes along the axes/,
    ],
    [
      () => layers.dot({ axes: 1, name: "score" })([input({ shape: [3] })]),
      /layer score: expected a list of 2 inputs, got 1/,
    ],
    [
      () => ops.matmul(input({ shape: [2, 3] }), input({ shape: [4, 2] })),
      /matmul[\d]*: expected matrices that can be multiplied/,
    ],
  ];
  for (const [make, message] of cases) t.throws(make, { instanceOf: ShapeError, message }, String(message));
});

test("sizes that do not fit are found when data come", async (t) => {
  const x = input({ shape: [null, 3] });
  await using pairs = model({ inputs: x, outputs: layers.reshape({ targetShape: [-1, 2] })(x) });
  const even = await pairs.predict(
    ndarray(
      Float32Array.from({ length: 12 }, (_, at) => at),
      [1, 4, 3],
    ),
  );
  t.deepEqual(even.shape, [1, 6, 2]);
  await t.throwsAsync(pairs.predict(ndarray(new Float32Array(9), [1, 3, 3])), { instanceOf: ShapeError });
  const none = await pairs.predict(ndarray(new Float32Array(0), [1, 0, 3]));
  t.deepEqual(none.shape, [1, 0, 2]);
});

test("operations are saved as nodes, and unknown sizes follow from tensors", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sconce-ops-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const x = input({ shape: [null, 6] });
  const [batch, time] = ops.shape(x) as [ops.Size, ops.Size];
  const heads = ops.transpose(ops.reshape(x, [batch, time, 2, 3]), [0, 2, 1, 3]);
  const scores = ops.matmul(heads, ops.transpose(heads, [0, 1, 3, 2]));
  const mixed = ops.reshape(ops.transpose(ops.matmul(scores, heads), [0, 2, 1, 3]), [batch, time, 6]);
  await using made = model({ inputs: x, outputs: layers.dense({ units: 2 })(mixed) });
  await made.build();
  await made.save(join(folder, "model"));
  await using loaded = await loadModel(join(folder, "model"));
  const data = ndarray(
    Float32Array.from({ length: 60 }, (_, at) => Math.sin(at)),
    [2, 5, 6],
  );
  const [before, after] = [await made.predict(data), await loaded.predict(data)];
  t.deepEqual(before, after);
  t.true(made.layers.some(({ type }) => type === "ops.matmul"));
  // A model called on other tensors, and one that begins in the middle.
  const y = input({ shape: [null, 6] });
  await using called = model({ inputs: y, outputs: made(y) });
  t.deepEqual((await called.predict(data)).data, before.data);
  const flat = layers.reshape({ targetShape: [-1, 2] })(x);
  await using middle = model({ inputs: flat, outputs: layers.reshape({ targetShape: [-1, 4] })(flat) });
  t.deepEqual((await middle.predict(ndarray(new Float32Array(16), [2, 4, 2]))).shape, [2, 2, 4]);
});
