import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  input,
  layers,
  loadModel,
  model,
  ndarray,
  optimizers,
  regularizers,
  type SingleOutputModel,
  StateError,
} from "../../src/index.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

function small(optimizer: ReturnType<typeof optimizers.sgd>): SingleOutputModel {
  const ids = input({ shape: [4], dtype: "int32" });
  const { l2 } = regularizers;
  const table = layers.embedding({ inputDim: 6, outputDim: 3, embeddingsRegularizer: l2({ l2: 0.1 }) });
  const state = layers.lstm({ units: 3, recurrentConstraint: "maxNorm" })(table(ids));
  const scores = layers.dense({ units: 5, activation: "softmax", kernelConstraint: "unitNorm" })(state);
  const built = model({ inputs: ids, outputs: scores });
  built.compile({ optimizer, loss: "sparseCategoricalCrossentropy" });
  return built;
}

const batch = (step: number) =>
  [ndarray(formulaIntegers(step, 12, 0, 6), [3, 4]), ndarray(formulaIntegers(100 + step, 3, 0, 5), [3])] as const;

async function bits(built: SingleOutputModel): Promise<number[][]> {
  return (await built.getWeights()).map(({ data }) => [...new Uint32Array(data.buffer, data.byteOffset, data.length)]);
}

for (const [name, make] of Object.entries(optimizers)) {
  test(`a model that was saved in the middle of training ends with the same bits: ${name}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sconce-state-"));
    t.teardown(() => rm(folder, { recursive: true }));
    const optimizer = make({
      learningRate: 0.05,
      weightDecay: 0.01,
      useEma: true,
      emaMomentum: 0.5,
      gradientAccumulationSteps: 2,
      clipnorm: 1,
    });
    optimizer.excludeFromWeightDecay({ varNames: ["bias"] });
    await using whole = small(optimizer);
    await whole.build();
    // An odd number of steps: the gradient of the last one waits for its update.
    for (let step = 0; step < 5; step++) await whole.trainOnBatch(...batch(step));
    await whole.save(join(folder, "model"));
    await using resumed = await loadModel(join(folder, "model"));
    t.deepEqual(resumed.optimizer.document, whole.optimizer.document);
    for (const trained of [whole, resumed]) {
      for (let step = 5; step < 9; step++) await trained.trainOnBatch(...batch(step));
    }
    t.deepEqual(await bits(resumed), await bits(whole));
    const before = await bits(whole);
    for (const trained of [whole, resumed]) await trained.finalizeVariableValues();
    t.deepEqual(await bits(resumed), await bits(whole));
    t.notDeepEqual(await bits(whole), before);
  });
}

test("without averages there is nothing to finalise, and without compile no optimiser", async (t) => {
  await using trained = small(optimizers.sgd());
  await trained.build();
  await trained.trainOnBatch(...batch(0));
  const before = await bits(trained);
  await trained.finalizeVariableValues();
  t.deepEqual(await bits(trained), before);
  const x = input({ shape: [2] });
  await using plain = model({ inputs: x, outputs: layers.dense({ units: 1 })(x) });
  await t.throwsAsync(plain.finalizeVariableValues(), { instanceOf: StateError });
});

test("the loss of a batch includes the penalties of weights", async (t) => {
  const x = input({ shape: [2] });
  const kernel = formulaValues(1, 6, 1);
  const losses: number[] = [];
  for (const kernelRegularizer of [null, regularizers.l1L2({ l1: 0.5, l2: 0.25 })]) {
    const scores = layers.dense({ units: 3, activation: "softmax", useBias: false, kernelRegularizer })(x);
    await using trained = model({ inputs: x, outputs: scores });
    trained.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
    await trained.setWeights([{ data: kernel, shape: [2, 3] }]);
    const data = [ndarray([[1, 2]]), ndarray(Int32Array.of(1))] as const;
    losses.push((await trained.testOnBatch(...data)).loss);
    losses.push((await trained.trainOnBatch(...data)).loss);
  }
  const penalty = kernel.reduce((sum, weight) => sum + 0.5 * Math.abs(weight) + 0.25 * weight * weight, 0);
  t.is(losses[0], losses[1]);
  t.is(losses[2], losses[3]);
  t.true(Math.abs(losses[2]! - losses[0]! - penalty) < 1e-6, `${losses[2]! - losses[0]!}, expected ${penalty}`);
});
