import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { input, layers, loadModel, losses, metrics, model, ndarray, OptionError, ShapeError } from "../../src/index.ts";
import { formulaValues } from "../helpers/formula-weights.ts";

const x = ndarray(formulaValues(1, 24, 1), [6, 4]);
const y = ndarray(formulaValues(2, 18, 1), [6, 3]);
const labels = ndarray(Float32Array.of(0, 1, 1, 0, 1, 0), [6]);

function oneOutput(units: number) {
  const features = input({ shape: [4] });
  return model({ inputs: features, outputs: layers.dense({ units, name: "out" })(features) });
}

test("weighted metrics have names of their own, as in Keras", async (t) => {
  await using trained = oneOutput(3);
  trained.compile({
    loss: "mse",
    metrics: ["mae", metrics.meanAbsoluteError({ name: "mae" }), "accuracy"],
    weightedMetrics: ["mae", "meanSquaredError", metrics.meanAbsoluteError({ name: "mae" })],
  });
  const sampleWeight = Float32Array.of(1, 0, 2, 0, 1, 3);
  const values = await trained.testOnBatch(x, y, { sampleWeight });
  const names = ["loss", "mae", "mae1", "accuracy", "weightedMae", "meanSquaredError", "weightedMae1"];
  t.deepEqual(Object.keys(values), names);
  t.is(values.mae, values.mae1);
  t.is(values.weightedMae, values.weightedMae1);
  t.not(values.mae, values.weightedMae);
  const { history } = await trained.fit(x, y, { sampleWeight, verbose: 0, validationData: [x, y] });
  t.true("valWeightedMae" in history);
});

test("metrics of several outputs are called by output", async (t) => {
  const features = input({ shape: [4] });
  const outputs = [layers.dense({ units: 3, name: "first" }), layers.dense({ units: 1, name: "second" })].map((layer) =>
    layer(features),
  );
  await using trained = model({ inputs: features, outputs });
  trained.compile({
    loss: { first: "mse", second: losses.binaryCrossentropy({ fromLogits: true }) },
    metrics: { first: ["mae"] },
    weightedMetrics: { first: ["mae"], second: ["mae"] },
  });
  const values = await trained.testOnBatch(x, [y, labels], { sampleWeight: Float32Array.of(1, 0, 2, 0, 1, 3) });
  t.deepEqual(Object.keys(values), ["loss", "firstLoss", "secondLoss", "firstMae", "firstWeightedMae", "secondMae"]);
  // `null` stands for weights of 1.
  const first = await trained.testOnBatch(x, [y, labels], {
    sampleWeight: [Float32Array.of(1, 0, 2, 0, 1, 3), null],
  });
  t.is(first.firstLoss, values.firstLoss);
  t.not(first.secondLoss, values.secondLoss);
});

test("targets that do not fit are refused", async (t) => {
  await using trained = oneOutput(3);
  trained.compile({ loss: "meanSquaredError" });
  await t.throwsAsync(trained.trainOnBatch(x, Int32Array.of(0, 1, 2, 0, 1, 2)), {
    instanceOf: ShapeError,
    message: /output out: expected floats of shape \[6, 3\].*a target for each element/,
  });
  await t.throwsAsync(trained.trainOnBatch(x, labels), { instanceOf: ShapeError, message: /"out"/ });
  trained.compile({ loss: "sparseCategoricalCrossentropy", metrics: ["binaryAccuracy"] });
  await t.throwsAsync(trained.trainOnBatch(x, Int32Array.of(0, 1, 2, 0, 1, 2)), { instanceOf: ShapeError });
  t.throws(() => trained.compile({ loss: "mse", weightedMetrics: "mae" as never }), {
    instanceOf: OptionError,
    message: /weightedMetrics/,
  });
});

test("single numbers may lack the last axis, as integers and floats", async (t) => {
  await using trained = oneOutput(1);
  trained.compile({ loss: losses.binaryCrossentropy({ fromLogits: true }), metrics: ["binaryAccuracy", "mse"] });
  await trained.build();
  const given = [labels, ndarray(labels.data, [6, 1]), Int32Array.from(labels.data), [0, 1, 1, 0, 1, 0]];
  const values = [];
  for (const target of given) values.push(await trained.testOnBatch(x, target));
  for (const value of values) t.deepEqual(value, values[0]);
  const byClass = [];
  for (const target of given) byClass.push(await trained.testOnBatch(x, target, { classWeight: { 1: 3 } }));
  for (const value of byClass) t.deepEqual(value, byClass[0]);
  t.not(byClass[0]!.loss, values[0]!.loss);
});

test("losses and metrics are saved with the model", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-losses-"));
  t.teardown(() => rm(folder, { recursive: true }));
  await using trained = oneOutput(3);
  trained.compile({
    loss: losses.huber({ delta: 0.5 }),
    metrics: ["mse", metrics.topKCategoricalAccuracy({ k: 2 }), metrics.categoricalCrossentropy({ fromLogits: true })],
    weightedMetrics: [metrics.recall({ threshold: 0.1, name: "found" })],
  });
  await trained.build();
  await trained.save(join(folder, "model"));
  await using loaded = await loadModel(join(folder, "model"));
  const sampleWeight = Float32Array.of(1, 0, 2, 0, 1, 3);
  t.deepEqual(await loaded.testOnBatch(x, y, { sampleWeight }), await trained.testOnBatch(x, y, { sampleWeight }));
  t.deepEqual(
    loaded.compilation!.outputs[0]!.metrics.map(({ name }) => name),
    ["mse", "topKCategoricalAccuracy", "categoricalCrossentropy"],
  );
});
