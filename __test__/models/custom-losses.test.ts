import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  type CompileOptions,
  GraphError,
  input,
  layers,
  loadModel,
  losses,
  metrics,
  model,
  ndarray,
  OptionError,
  ops,
  ShapeError,
  type SymbolicTensor,
} from "../../src/index.ts";
import { formulaValues } from "../helpers/formula-weights.ts";

function squares(yTrue: SymbolicTensor, yPred: SymbolicTensor): SymbolicTensor {
  const difference = layers.subtract()([yTrue, yPred]);
  return layers.multiply()([difference, difference]);
}

/** Masked sequences of 3 numbers a step. */
async function sequences(options: CompileOptions) {
  const ids = input({ shape: [null], dtype: "int32" });
  const table = layers.embedding({ inputDim: 6, outputDim: 4, maskZero: true });
  const trained = model({ inputs: ids, outputs: layers.dense({ units: 3, name: "out" })(table(ids)) });
  trained.compile({ optimizer: "sgd", ...options });
  await trained.build({ seed: 3 });
  return trained;
}

const x = ndarray(Int32Array.of(1, 2, 0, 3, 4, 5, 5, 0, 0, 1, 0, 0), [4, 3]);
const y = ndarray(formulaValues(5, 36, 1), [4, 3, 3]);
const sampleWeight = ndarray(
  formulaValues(6, 12, 0.5).map((value) => value + 1),
  [4, 3],
);

function near(t: { true(ok: boolean, message: string): void }, found: Record<string, number>, known: number[]) {
  for (const [index, [name, value]] of Object.entries(found).entries()) {
    t.true(Math.abs(value - known[index]!) < 1e-5 * Math.max(1, Math.abs(value)), `${name}: ${value}, ${known[index]}`);
  }
}

test("an own loss of layers is trained as the same loss by name", async (t) => {
  await using own = await sequences({ loss: squares, metrics: [squares, "mae"], weightedMetrics: [squares] });
  await using known = await sequences({ loss: "mse", metrics: ["mse", "mae"], weightedMetrics: ["mse"] });
  for (let step = 0; step < 4; step++) {
    const found = await own.trainOnBatch(x, y, { sampleWeight });
    t.deepEqual(Object.keys(found), ["loss", "squares", "mae", "weightedSquares"]);
    near(t, found, Object.values(await known.trainOnBatch(x, y, { sampleWeight })));
  }
  near(t, await own.evaluate(x, y), Object.values(await known.evaluate(x, y)));
  const [ours, theirs] = [await own.getWeights(), await known.getWeights()];
  for (const [index, { data }] of ours.entries()) {
    for (const [at, value] of data.entries()) t.true(Math.abs(value - theirs[index]!.data[at]!) < 1e-5);
  }
});

/** What Keras computes, by operations. */
const bodies: [string, Parameters<typeof losses.custom>[0]][] = [
  ["mse", (yTrue, yPred) => ops.mean(ops.square(ops.subtract(yTrue, yPred)), { axis: -1 })],
  ["mae", (yTrue, yPred) => ops.mean(ops.abs(ops.subtract(yPred, yTrue)), { axis: -1, keepdims: true })],
  ["mae", (yTrue, yPred) => ops.abs(ops.subtract(yPred, yTrue))],
  ["mse", (yTrue, yPred, mask) => ops.multiply(ops.mean(ops.square(ops.subtract(yTrue, yPred)), { axis: -1 }), mask)],
];

for (const [name, body] of bodies) {
  test(`an own loss of operations is trained as ${name}: ${body}`, async (t) => {
    await using own = await sequences({ loss: body, metrics: [metrics.custom(body, { name })] });
    await using known = await sequences({ loss: name as "mse", metrics: [name as "mse"] });
    for (let step = 0; step < 3; step++) {
      const found = await own.trainOnBatch(x, y, { sampleWeight });
      t.deepEqual(Object.keys(found), ["loss", name]);
      near(t, found, Object.values(await known.trainOnBatch(x, y, { sampleWeight })));
    }
  });
}

test("an own loss of ids, and one of whole samples", async (t) => {
  const features = input({ shape: [4] });
  const data = ndarray(formulaValues(7, 20, 1), [5, 4]);
  const ids = Int32Array.of(2, 0, 1, 1, 2);
  const outputs = layers.dense({ units: 3, activation: "softmax" })(features);
  await using trained = model({ inputs: features, outputs });
  await trained.build({ seed: 2 });
  const likelihood = (yTrue: SymbolicTensor, yPred: SymbolicTensor) =>
    ops.negative(ops.log(ops.sum(ops.multiply(ops.oneHot(yTrue, 3), yPred), { axis: -1 })));
  trained.compile({ loss: losses.custom(likelihood, { targets: "ids" }), metrics: ["accuracy"] });
  const own = await trained.testOnBatch(data, ids, { classWeight: { 1: 3 } });
  trained.compile({ loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  near(t, own, Object.values(await trained.testOnBatch(data, ids, { classWeight: { 1: 3 } })));

  // Of each sample alone, over all its steps.
  await using long = await sequences({ loss: (a, b) => ops.mean(ops.square(ops.subtract(a, b)), { axis: [1, 2] }) });
  await using known = await sequences({ loss: "mse" });
  const full = ndarray(Int32Array.of(1, 2, 1, 3, 4, 5, 5, 2, 2, 1, 3, 4), [4, 3]);
  near(t, await long.trainOnBatch(full, y), Object.values(await known.trainOnBatch(full, y)));
  near(t, await long.testOnBatch(full, y), Object.values(await known.testOnBatch(full, y)));
});

test("own losses of several outputs, with weights and other losses", async (t) => {
  const features = input({ shape: [4] });
  const heads = ["first", "second"].map((name) => layers.dense({ units: 3, name })(features));
  const data = ndarray(formulaValues(7, 20, 1), [5, 4]);
  const targets = [ndarray(formulaValues(8, 15, 1), [5, 3]), ndarray(formulaValues(9, 15, 1), [5, 3])];
  await using trained = model({ inputs: features, outputs: heads });
  const found = [];
  for (const loss of [
    { first: squares, second: "mae" },
    { first: "mse", second: losses.custom(squares) },
    { first: "mse", second: "mse" },
  ] as const) {
    trained.compile({ optimizer: "sgd", loss, lossWeights: { first: 0.5, second: 2 } });
    found.push(await trained.testOnBatch(data, targets));
  }
  t.true(Math.abs(found[0]!.firstLoss! - found[2]!.firstLoss!) < 1e-6);
  t.true(Math.abs(found[1]!.loss - found[2]!.loss) < 1e-5);
});

test("an own loss is saved with the model, without its function", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-custom-"));
  t.teardown(() => rm(folder, { recursive: true }));
  await using trained = await sequences({ loss: squares, metrics: [metrics.custom(squares, { name: "error" })] });
  await trained.trainOnBatch(x, y);
  await trained.save(join(folder, "model"));
  await using loaded = await loadModel(join(folder, "model"));
  t.deepEqual(await loaded.trainOnBatch(x, y), await trained.trainOnBatch(x, y));
  t.true("error" in (await loaded.evaluate(x, y)));
});

test("what is no loss is refused", async (t) => {
  await using trained = await sequences({ loss: "mse" });
  const refused: [unknown, typeof OptionError | typeof ShapeError | typeof GraphError, RegExp][] = [
    [() => 3, OptionError, /must return a symbolic tensor/],
    [(_: SymbolicTensor, yPred: SymbolicTensor) => layers.dense({ units: 3 })(yPred), GraphError, /has weights/],
    [(a: SymbolicTensor, b: SymbolicTensor) => layers.concatenate()([a, b]), ShapeError, /shape begins as/],
    [(_: SymbolicTensor, b: SymbolicTensor) => layers.add()([input({ shape: [null, 3] }), b]), GraphError, /input/],
  ];
  for (const [loss, instanceOf, message] of refused) {
    t.throws(() => trained.compile({ loss } as CompileOptions), { instanceOf, message });
    t.throws(() => trained.compile({ loss: "mse", metrics: [loss] } as CompileOptions), { instanceOf, message });
  }
  t.throws(() => losses.custom(squares, { targets: "floats" } as never), { instanceOf: OptionError });
  t.throws(() => metrics.custom("squares" as never), { instanceOf: OptionError });
  // Compiled as before.
  t.is(Object.keys(await trained.testOnBatch(x, y)).join(), "loss");
  trained.compile({ loss: losses.custom(squares) });
  await t.throwsAsync(trained.testOnBatch(x, Int32Array.from(x.data)), { instanceOf: ShapeError });
});

test("penalties on what layers give are options of every layer", async (t) => {
  const features = input({ shape: [4] });
  const data = ndarray(formulaValues(7, 20, 1), [5, 4]);
  const hidden = layers.dense({ units: 3, activityRegularizer: { type: "l1l2", l1: 0.5, l2: 0.25 } })(features);
  const outputs = layers.activation({ activation: "relu", activityRegularizer: "l1" })(hidden);
  await using trained = model({ inputs: features, outputs });
  trained.compile({ optimizer: "sgd", loss: "mse" });
  await trained.build();
  const [[kernel], predicted] = [await trained.getWeights(), await trained.predict(data)];
  let penalty = 0;
  for (let row = 0; row < 5; row++) {
    for (let unit = 0; unit < 3; unit++) {
      let value = 0;
      for (let at = 0; at < 4; at++) value += data.data[row * 4 + at]! * kernel!.data[at * 3 + unit]!;
      penalty += (0.5 * Math.abs(value) + 0.25 * value ** 2 + 0.01 * Math.max(value, 0)) / 5;
    }
  }
  const { loss } = await trained.testOnBatch(data, predicted as never);
  t.true(Math.abs(loss - penalty) < 1e-5, `${loss}, ${penalty}`);
  const folder = await mkdtemp(join(tmpdir(), "sconce-activity-"));
  t.teardown(() => rm(folder, { recursive: true }));
  await trained.save(join(folder, "model"));
  await using loaded = await loadModel(join(folder, "model"));
  t.is((await loaded.testOnBatch(data, predicted as never)).loss, loss);
  for (const wrong of ["l3", { type: "l1l2", l1: -1 }, { type: "orthogonal" }, 0.1]) {
    t.throws(() => layers.dropout({ rate: 0.1, activityRegularizer: wrong as never }), { instanceOf: OptionError });
  }
});
