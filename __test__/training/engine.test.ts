import { setTimeout as wait } from "node:timers/promises";
import test from "ava";
import {
  DataError,
  Dataset,
  NaNLossError,
  ndarray,
  padSequences,
  rmsprop,
  StateError,
  sgd,
  stack,
} from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";

const quiet = { verbose: "silent" } as const;
const vocabulary = 12;

/** Pairs of a toy language: the target spells the source backwards. Ids from 3, 1 begins and 2 ends a target. */
function toyPairs(count: number, longest = 6) {
  const sources = Array.from({ length: count }, (_, row) =>
    Array.from({ length: 2 + (row % (longest - 1)) }, (_, time) => 3 + ((row * row + 5 * time + row * time) % 9)),
  );
  const targets = sources.map((source) => source.toReversed());
  return {
    x: [padSequences(sources), padSequences(targets.map((target) => [1, ...target]))],
    y: padSequences(targets.map((target) => [...target, 2])),
  };
}

function translator(units = 48, dimension = 24) {
  const { translator: model } = textbook({ vocabulary, dimension, units });
  model.compile({ optimizer: rmsprop({ learningRate: 0.01 }), loss: "categoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

test("32 pairs are learned by heart", async (t) => {
  const { x, y } = toyPairs(32);
  const model = translator();
  const { history } = await model.fit(x, y, { batchSize: 8, epochs: 60, seed: 1, ...quiet });
  t.true(history.loss![0]! > 1.8 && history.loss!.at(-1)! < 0.05, `${history.loss}`);
  t.is((await model.evaluate(x, y)).accuracy, 1);
});

test("the same seed gives the same bits, for arrays, one-hot targets and datasets", async (t) => {
  const { x, y } = toyPairs(20);
  const oneHot = new Float32Array(y.data.length * vocabulary);
  for (const [index, id] of y.data.entries()) oneHot[index * vocabulary + id] = 1;
  const weights = async (train: (model: ReturnType<typeof translator>) => Promise<unknown>) => {
    const model = translator(8, 4);
    await train(model);
    return (await model.getWeights()).map(({ data }) => [...data]);
  };
  const options = { batchSize: 4, epochs: 2, seed: 3, ...quiet };
  const first = await weights((model) => model.fit(x, y, options));
  t.deepEqual(await weights((model) => model.fit(x, y, options)), first);
  t.deepEqual(
    await weights((model) => model.fit(Dataset.fromArrays(x, [y]).shuffle(3).batch(4, stack), { epochs: 2, ...quiet })),
    first,
  );
  t.notDeepEqual(await weights((model) => model.fit(x, y, { ...options, seed: 4 })), first);
  const dense = await weights((model) => model.fit(x, ndarray(oneHot, [...y.shape, vocabulary]), options));
  for (const [index, tensor] of dense.entries()) {
    for (const [position, value] of tensor.entries()) t.true(Math.abs(value - first[index]![position]!) < 1e-4);
  }
});

test("accumulated gradients of equal batches are those of one large batch", async (t) => {
  const { x, y } = toyPairs(5, 2); // All of one length: means of means are means.
  const weights = async (options: { batchSize: number; accumulateSteps?: number }) => {
    const { translator: model } = textbook({ vocabulary });
    model.compile({ optimizer: sgd({ learningRate: 0.5 }), loss: "categoricalCrossentropy" });
    await model.fit(x, y, { ...options, epochs: 3, shuffle: false, ...quiet });
    return (await model.getWeights()).flatMap(({ data }) => [...data]);
  };
  const whole = await weights({ batchSize: 5 });
  const parts = await weights({ batchSize: 1, accumulateSteps: 5 });
  t.true(whole.every((value, index) => Math.abs(value - parts[index]!) < 1e-5));
});

test("rows of weight 0 do not train, and validation changes nothing", async (t) => {
  const { x, y } = toyPairs(8);
  const weights = async (train: (model: ReturnType<typeof translator>) => Promise<unknown>) => {
    const model = translator(8, 4);
    await train(model);
    return (await model.getWeights()).map(({ data }) => [...data]);
  };
  const options = { batchSize: 4, epochs: 2, shuffle: false, ...quiet };
  const plain = await weights((model) => model.fit(x, y, options));
  t.deepEqual(await weights((model) => model.fit(x, y, { ...options, validationData: [x, y] })), plain);
  const untrained = await weights((model) => model.build());
  const nothing = await weights((model) => model.fit(x, y, { ...options, sampleWeight: new Float32Array(8) }));
  // The engine raises weights of 0 to the smallest float, so gradients are not quite 0.
  const values = nothing.flat();
  t.true(untrained.flat().every((value, index) => Math.abs(value - values[index]!) < 1e-20));
});

test("an id out of range names its place, and the model can be used on", async (t) => {
  const { x, y } = toyPairs(8);
  const model = translator(8, 4);
  const wrong = { data: y.data.slice(), shape: y.shape };
  wrong.data[2 * y.shape[1]! + 1] = vocabulary;
  await t.throwsAsync(model.fit(x, wrong, { shuffle: false, ...quiet }), {
    instanceOf: DataError,
    message: /row 2.*column 1/,
  });
  const negative = { data: x[0]!.data.slice(), shape: x[0]!.shape };
  negative.data[1] = -1;
  await t.throwsAsync(model.predict([negative, x[1]!]), { instanceOf: DataError, message: /row 0.*column 1/ });
  await model.fit(x, y, quiet);
});

test("a loss that is not a number rejects, and the model can be set right", async (t) => {
  const { x, y } = toyPairs(8);
  const { translator: model } = textbook({ vocabulary });
  model.compile({ optimizer: sgd({ learningRate: 1e30 }), loss: "categoricalCrossentropy" });
  await model.build();
  const weights = await model.getWeights();
  const broken = weights.map(({ data, shape }) => ({ data: data.map(() => Number.NaN), shape }));
  await model.setWeights(broken);
  await t.throwsAsync(model.fit(x, y, quiet), { instanceOf: NaNLossError, message: /epoch 0, step 0/ });
  await model.setWeights(weights);
  t.true(Number.isFinite((await model.evaluate(x, y)).loss));
});

test("an abort ends a run within a step, and the event loop stays free meanwhile", async (t) => {
  const { x, y } = toyPairs(512);
  const model = translator(128, 64);
  const controller = new AbortController();
  const reason = new Error("enough");
  let running: Promise<unknown> = Promise.resolve();
  // Resolves only if the event loop is free: the run has a thousand epochs.
  await new Promise((resolve) => {
    const signal = controller.signal;
    running = model.fit(x, y, { batchSize: 128, epochs: 1000, signal, onProgress: resolve, ...quiet });
  });
  await wait(5);
  await t.throwsAsync(model.fit(x, y, quiet), { instanceOf: StateError });
  controller.abort(reason);
  await t.throwsAsync(running, { is: reason });
  await model.fit(toyPairs(8).x, toyPairs(8).y, quiet);
});

test("training and prediction of one model go side by side", async (t) => {
  const { x, y } = toyPairs(32);
  const model = translator(8, 4);
  const running = model.fit(x, y, { batchSize: 4, epochs: 5, ...quiet });
  const predictions = await Promise.all([model.predict(x), model.predict(x), model.evaluate(x, y)]);
  t.deepEqual(predictions[0].shape, [...y.shape, vocabulary]);
  t.is((await running).epoch.length, 5);
});

test("a model that is disposed of during training rejects", async (t) => {
  const { x, y } = toyPairs(64);
  const model = translator(64, 32);
  const running = model.fit(x, y, { batchSize: 4, epochs: 1000, ...quiet });
  await wait(50);
  model.dispose();
  await t.throwsAsync(running, { instanceOf: StateError });
});

test("an own loop trains as fit does", async (t) => {
  const { x, y } = toyPairs(20);
  const [own, fitted] = [translator(8, 4), translator(8, 4)];
  const losses: number[] = [];
  for await (const step of own.steps({ x, y }, { batchSize: 4, epochs: 2, seed: 5 })) losses.push(step.loss);
  await fitted.fit(x, y, { batchSize: 4, epochs: 2, seed: 5, ...quiet });
  t.is(losses.length, 10);
  t.deepEqual(await own.getWeights(), await fitted.getWeights());
});
