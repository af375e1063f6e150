/** What callbacks decide on random losses with random options, against Keras. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  type Callback,
  type EarlyStoppingOptions,
  earlyStopping,
  fit,
  type ModelCheckpointOptions,
  modelCheckpoint,
  type ReduceLrOptions,
  reduceLrOnPlateau,
} from "../../src/training/index.ts";
import { FakeModel, pairs } from "./fake-model.ts";

interface Golden {
  stops: { losses: number[]; options: EarlyStoppingOptions; epochs: number; bestEpoch: number; weightsOf: number }[];
  reductions: { losses: number[]; options: ReduceLrOptions; rates: number[] }[];
  savings: { losses: number[]; options: Partial<ModelCheckpointOptions>; saved: number[] }[];
}

const file = new URL("../golden/keras/callbacks-random.json", import.meta.url);
const golden = JSON.parse(readFileSync(file, "utf8")) as Golden;
const { x, y } = pairs(2);

async function run(losses: number[], callbacks: Callback[]) {
  const model = new FakeModel({ loss: (step) => losses[step]! });
  const history = await fit(model, x, y, { epochs: losses.length, callbacks, verbose: "silent" });
  return { model, history };
}

test("early stopping ends where Keras ends, with the weights of the same epoch", async (t) => {
  for (const { losses, options, epochs, bestEpoch, weightsOf } of golden.stops) {
    const said = `${losses} with ${JSON.stringify(options)}`;
    const callback = earlyStopping({ monitor: "loss", restoreBestWeights: true, ...options });
    const weights: number[] = [];
    const keep: Callback = { onEpochEnd: (_epoch, _logs, model) => void weights.push((model as FakeModel).weights) };
    const { model, history } = await run(losses, [keep, callback]);
    t.is(history.epoch.length, epochs, said);
    t.is(callback.bestEpoch, bestEpoch, said);
    t.is(model.weights, weights[weightsOf]!, said);
  }
});

test("the learning rate falls where it falls in Keras", async (t) => {
  for (const { losses, options, rates } of golden.reductions) {
    const { history } = await run(losses, [reduceLrOnPlateau({ monitor: "loss", ...options })]);
    t.deepEqual(history.history.learningRate, rates, `${losses} with ${JSON.stringify(options)}`);
  }
});

test("the best model is saved where Keras saves it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-random-callbacks-"));
  for (const { losses, options, saved } of golden.savings) {
    const path = join(folder, "{epoch}.safetensors");
    const checkpoint = modelCheckpoint({
      path,
      monitor: "loss",
      saveBestOnly: true,
      saveWeightsOnly: true,
      ...options,
    });
    const { model } = await run(losses, [checkpoint]);
    const expected = saved.map((epoch) => join(folder, `${epoch + 1}.safetensors`));
    t.deepEqual(model.saves, expected, `${losses} with ${JSON.stringify(options)}`);
  }
  await rm(folder, { recursive: true });
});
