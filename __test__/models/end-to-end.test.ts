import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  adam,
  input,
  layers,
  loadModel,
  type MultiOutputModel,
  model,
  type NdArray,
  NdArray as NdArrayClass,
  ndarray,
  rmsprop,
  ShapeError,
  StateError,
} from "../../src/index.ts";
import { formulaIntegers } from "../helpers/formula-weights.ts";
import { textbook } from "../helpers/textbook.ts";

/** Pairs of which the target is the source with other words, padded at the end. */
function cipherPairs(rows: number, vocabulary = 12) {
  const [source, decoder, target] = [5, 6, 6].map((length) => ndarray(new Int32Array(rows * length), [rows, length]));
  for (let row = 0; row < rows; row++) {
    const length = 2 + (row % 4);
    const ids = formulaIntegers(row, length, 3, vocabulary);
    source!.data.set(ids, row * 5);
    const other = ids.map((id) => 3 + ((id + 2) % (vocabulary - 3)));
    decoder!.data.set([1, ...other], row * 6);
    target!.data.set([...other, 2], row * 6);
  }
  return { inputs: [source!, decoder!], target: target! };
}

test("the textbook model learns 32 pairs by heart, from TypeScript", async (t) => {
  const { translator } = textbook({ units: 24, dimension: 12 });
  const { inputs, target } = cipherPairs(32);
  translator.compile({
    optimizer: adam({ learningRate: 0.02 }),
    loss: "categoricalCrossentropy",
    metrics: ["accuracy"],
  });
  const { history } = await translator.fit(inputs, target, { batchSize: 8, epochs: 80, seed: 1, verbose: 0 });
  const [first, last] = [history.loss![0]!, history.loss!.at(-1)!];
  t.log(`loss ${first.toFixed(3)} to ${last.toFixed(3)}`);
  t.true(last < 0.1 * first);
  const { accuracy } = await translator.evaluate(inputs, target, { verbose: 0 });
  t.true(accuracy! > 0.95, `accuracy ${accuracy}`);
});

test("inference models decode step by step what the trained model predicts at once", async (t) => {
  const { translator, encoderInputs, stateH, stateC, embedding, decoderInputs, decoderLstm, decoderDense } = textbook();
  const encoder = model({ inputs: encoderInputs, outputs: [stateH, stateC] });
  const [h, c] = [input({ shape: [4] }), input({ shape: [4] })];
  const [y, nextH, nextC] = decoderLstm(embedding(decoderInputs), { initialState: [h, c] });
  const decoder = model({ inputs: [decoderInputs, h, c], outputs: [decoderDense(y), nextH, nextC] });
  const { inputs, target } = cipherPairs(4);
  translator.compile({ loss: "sparseCategoricalCrossentropy" });
  await translator.fit(inputs, target, { epochs: 2, verbose: 0 });

  const whole: NdArray = await translator.predict(inputs);
  t.deepEqual(whole.shape, [4, 6, 12]);
  let states: NdArray[] = await encoder.predict(inputs[0]!);
  t.deepEqual(states.map(({ shape }) => shape), [[4, 4], [4, 4]]); // biome-ignore format: shapes
  for (let step = 0; step < 3; step++) {
    const ids = ndarray(
      Int32Array.from({ length: 4 }, (_, row) => inputs[1]!.data[row * 6 + step]!),
      [4, 1],
    );
    const [probabilities, ...next] = await decoder.predict([ids, ...states]);
    states = next;
    for (let row = 0; row < 4; row++) {
      const expected = whole.data.subarray((row * 6 + step) * 12, (row * 6 + step + 1) * 12);
      const got = probabilities!.data.subarray(row * 12, (row + 1) * 12);
      const difference = Math.max(...Array.from(got, (value, index) => Math.abs(value - expected[index]!)));
      t.true(difference <= 1e-5, `step ${step}, row ${row}: ${difference}`);
    }
  }
});

test("predict gives an array for one output and a list for a list", async (t) => {
  const x = input({ shape: [2] });
  const y = layers.dense({ units: 3, activation: "softmax" })(x);
  const data = [[1, 2], [3, 4], [5, 6]]; // biome-ignore format: a matrix
  const single: NdArray = await model({ inputs: x, outputs: y }).predict(data);
  t.true(single instanceof NdArrayClass);
  t.deepEqual(single.shape, [3, 3]);
  const listed: NdArray[] = await model({ inputs: x, outputs: [y] }).predict(data);
  t.deepEqual(listed[0]!.data, single.data);
  const several: NdArray[] = await model({ inputs: x, outputs: [y, x] }).predict(data);
  t.deepEqual(several[1]!.toNested(), data);
  // @ts-expect-error a model with one output gives no list.
  t.is((await model({ inputs: x, outputs: y }).predict(data))[0], undefined);
  await t.throwsAsync(model({ inputs: x, outputs: y }).predict([[1, 2, 3]]), { instanceOf: ShapeError });
});

test("a nested model computes what its layers do, and shares their training", async (t) => {
  const x = input({ shape: [2] });
  const inner = model({ inputs: x, outputs: layers.dense({ units: 2, activation: "softmax" })(x), name: "inner" });
  const z = input({ shape: [2] });
  const outer = model({ inputs: z, outputs: inner(inner(z)) });
  outer.compile({ optimizer: rmsprop({ learningRate: 0.05 }), loss: "categoricalCrossentropy" });
  const data = [[1, 0], [0, 1]]; // biome-ignore format: a matrix
  await outer.build();
  const before = await inner.getWeights();
  await outer.trainOnBatch(data, data);
  t.notDeepEqual(await inner.getWeights(), before);
  const twice = await inner.predict(await inner.predict(data));
  t.deepEqual((await outer.predict(data)).data, twice.data);
});

test("frozen layers stay as they are", async (t) => {
  const { translator, embedding } = textbook();
  embedding.trainable = false;
  translator.compile({ loss: "categoricalCrossentropy" });
  await translator.build({ seed: 2 });
  const before = await translator.getWeights();
  const { inputs, target } = cipherPairs(8);
  await translator.fit(inputs, target, { verbose: 0 });
  const after = await translator.getWeights();
  t.deepEqual(after[0], before[0]);
  for (let index = 1; index < after.length; index++) t.notDeepEqual(after[index], before[index], `weight ${index}`);
});

test("training goes on after loading as if it had not been interrupted, dropout included", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-go-on-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const x = input({ shape: [3] });
  const y = layers.dense({ units: 4, activation: "softmax" })(
    layers.dropout({ rate: 0.5 })(layers.dense({ units: 8 })(x)),
  );
  const one = model({ inputs: x, outputs: y });
  one.compile({ optimizer: adam({ learningRate: 0.01 }), loss: "sparseCategoricalCrossentropy", seed: 3 });
  const data = [[1, 2, 3], [3, 2, 1], [0, 1, 0]]; // biome-ignore format: a matrix
  const ids = ndarray(Int32Array.of(0, 1, 3));
  for (let step = 0; step < 3; step++) await one.trainOnBatch(data, ids);
  await one.save(join(folder, "model"));
  const losses = [];
  for (let step = 0; step < 3; step++) losses.push((await one.trainOnBatch(data, ids)).loss);
  const loaded = await loadModel(join(folder, "model"));
  for (const loss of losses) t.is((await loaded.trainOnBatch(data, ids)).loss, loss);
  t.deepEqual(await loaded.getWeights(), await one.getWeights());
});

test("calls that do not fit the state of a model are refused, and harm nothing", async (t) => {
  const { translator } = textbook();
  const { inputs, target } = cipherPairs(2);
  await t.throwsAsync(translator.fit(inputs, target), { instanceOf: StateError, message: /not compiled/ });
  await t.notThrowsAsync(translator.predict(inputs), "it is built by predict");
  translator.dispose();
  await t.throwsAsync(translator.predict(inputs), { instanceOf: StateError, message: /disposed/ });
});

test("a model that is disposed of during a step ends that step with an error or its result", async (t) => {
  const { translator } = textbook({ units: 64 });
  const { inputs, target } = cipherPairs(32);
  translator.compile({ loss: "categoricalCrossentropy" });
  await translator.build();
  const running = translator.trainOnBatch(inputs, target).then(
    ({ loss }) => Number.isFinite(loss),
    (error: unknown) => error instanceof StateError,
  );
  translator.dispose();
  t.true(await running);
});

test("types of models follow their outputs", (t) => {
  const x = input({ shape: [2] });
  const both: MultiOutputModel = model({ inputs: x, outputs: [x, x] });
  // @ts-expect-error a list of outputs is no single tensor.
  t.is(both(x).shape, undefined);
  // @ts-expect-error outputs are missing.
  t.throws(() => model({ inputs: x }));
});
