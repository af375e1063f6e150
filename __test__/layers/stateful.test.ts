import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  backupAndRestore,
  type Callback,
  input,
  layers,
  loadModel,
  model,
  type NdArray,
  ndarray,
  OptionError,
  ShapeError,
  StateError,
  sgd,
} from "../../src/index.ts";
import type { Model } from "../../src/models/model.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

interface Golden {
  vocabulary: number;
  width: number;
  units: number;
  rows: number;
  steps: number;
  window: number;
  passes: number;
  rate: number;
  cases: { cell: "lstm" | "gru"; seed: number; losses: number[]; weights: number[][] }[];
}

const golden = JSON.parse(readFileSync(new URL("../golden/torch/truncated.json", import.meta.url), "utf8")) as Golden;
const { vocabulary, width, units, rows, steps, window } = golden;
const cells = ["lstm", "gru", "simpleRnn"] as const;

function tagger(cell: (typeof cells)[number], stateful: boolean): Model {
  const ids = input({ shape: [null], dtype: "int32" });
  const embedded = layers.embedding({ inputDim: vocabulary, outputDim: width, maskZero: true })(ids);
  const options = { units, returnSequences: true, returnState: false, stateful } as const;
  const layer =
    cell === "lstm" ? layers.lstm(options) : cell === "gru" ? layers.gru(options) : layers.simpleRnn(options);
  const y = layer(embedded);
  return model({ inputs: ids, outputs: layers.dense({ units: vocabulary, activation: "softmax" })(y) });
}

async function fill(tagger: Model, seed: number): Promise<void> {
  await tagger.build();
  const weights = await tagger.getWeights();
  await tagger.setWeights(
    weights.map(({ shape, data }, index) => ({ shape, data: formulaValues(seed + index, data.length, 0.9) })),
  );
}

/** Columns of rows of ids. */
function columns(ids: Int32Array, first: number, last: number) {
  const count = ids.length / rows;
  const picked = Array.from({ length: rows }, (_, row) => [...ids.subarray(row * count + first, row * count + last)]);
  return ndarray(Int32Array.from(picked.flat()), [rows, last - first]);
}

const idsOf = (seed: number) => formulaIntegers(seed + 9, rows * (steps + 1), 1, vocabulary);

function windows(ids: Int32Array) {
  return Array.from({ length: Math.ceil(steps / window) }, (_, index) => {
    const [first, last] = [index * window, Math.min((index + 1) * window, steps)];
    return { inputs: [columns(ids, first, last)], targets: [columns(ids, first + 1, last + 1)] };
  });
}

/** The only output. */
async function predict(own: Model, x: NdArray<Int32Array>): Promise<Float32Array> {
  const { data } = (await own.predict(x)) as NdArray<Float32Array>;
  return data;
}

function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Math.max(...Array.from(expected, (value, index) => Math.abs(found[index]! - value)));
}

for (const { cell, seed, losses, weights } of golden.cases) {
  test(`windows are learnt as PyTorch learns them with detached states: ${cell}`, async (t) => {
    await using own = tagger(cell, true);
    await fill(own, seed);
    own.compile({ optimizer: sgd({ learningRate: golden.rate }), loss: "sparseCategoricalCrossentropy" });
    const found: number[] = [];
    for (let pass = 0; pass < golden.passes; pass++) {
      await own.resetStates();
      for (const { inputs, targets } of windows(idsOf(seed))) {
        found.push((await own.trainOnBatch(inputs[0]!, targets[0]!)).loss);
      }
    }
    t.true(difference(found, losses) < 3e-6, `${found}`);
    for (const [index, { data }] of (await own.getWeights()).entries()) {
      t.true(difference(data, weights[index]!) < 1e-5, `weight ${index}`);
    }
  });

  test(`fit begins each epoch with zeros: ${cell}`, async (t) => {
    await using own = tagger(cell, true);
    await fill(own, seed);
    own.compile({ optimizer: sgd({ learningRate: golden.rate }), loss: "sparseCategoricalCrossentropy" });
    const data = windows(idsOf(seed));
    const { history } = await own.fit(data, { epochs: golden.passes, verbose: "silent", validationData: data });
    const mean = (pass: number) =>
      losses.slice(pass * data.length, (pass + 1) * data.length).reduce((a, b) => a + b) / 3;
    t.true(difference(history.loss!, [mean(0), mean(1)]) < 3e-6);
    for (const [index, { data }] of (await own.getWeights()).entries()) {
      t.true(difference(data, weights[index]!) < 1e-5, `weight ${index}`);
    }
    const values = await own.evaluate(data, { verbose: "silent" });
    t.is(values.loss, history.valLoss![1]!);
    t.is((await own.evaluate(data, { verbose: "silent" })).loss, values.loss);
  });
}

for (const cell of cells) {
  test(`predictions of blocks are those of the whole sequence: ${cell}`, async (t) => {
    await using own = tagger(cell, true);
    await using whole = tagger(cell, false);
    for (const each of [own, whole]) await fill(each, 5);
    t.true(own.stateful);
    t.false(whole.stateful);
    const ids = idsOf(3);
    // A step that does not count changes no state.
    ids[2] = 0;
    const expected = await predict(whole, columns(ids, 0, steps));
    const batches = windows(ids);
    const joined = (parts: NdArray<Float32Array>[]) => {
      const all = new Float32Array(rows * steps * vocabulary);
      let first = 0;
      for (const { data, shape } of parts) {
        const size = shape[1]! * vocabulary;
        for (let row = 0; row < rows; row++) {
          all.set(data.subarray(row * size, (row + 1) * size), row * steps * vocabulary + first);
        }
        first += size;
      }
      return all;
    };
    const predicted = async () => joined((await own.predict(batches)) as NdArray<Float32Array>[]);
    t.true(difference(await predicted(), expected) < 1e-6);
    t.true(difference(await predicted(), expected) > 1e-3, "the states went on");
    await own.resetStates();
    t.true(difference(await predicted(), expected) < 1e-6);
    const one = ndarray(Int32Array.of(1, 2), [1, 2]);
    await t.throwsAsync(own.predict(one), {
      instanceOf: ShapeError,
      message: /states of 3 sequences, got a batch of 1/,
    });
    await own.resetStates();
    await own.predict(one);
  });
}

test("a saved model is stateful again, and begins with zeros", async (t) => {
  const folder = join(tmpdir(), `sconce-stateful-${process.pid}`);
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  await using own = tagger("lstm", true);
  await fill(own, 5);
  const x = columns(idsOf(3), 0, steps);
  const first = await predict(own, x);
  await own.save(folder);
  await using again = await loadModel<Model>(folder);
  t.true(again.stateful);
  t.deepEqual(await predict(again, x), first);
  const second = await predict(own, x);
  t.notDeepEqual(second, first);
  t.deepEqual(await predict(again, x), second);
});

test("a run that was interrupted within an epoch goes on with its states", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sconce-stateful-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const data = windows(idsOf(3));
  const accumulateSteps = 2;
  const run = async (signal?: AbortSignal, callback: Callback = { onTrainBegin() {} }) => {
    const own = tagger("lstm", true);
    await fill(own, 5);
    own.compile({ optimizer: sgd({ learningRate: golden.rate }), loss: "sparseCategoricalCrossentropy" });
    const backup = backupAndRestore({ folder: join(folder, "run"), deleteCheckpoint: false });
    const callbacks = signal === undefined ? [callback] : [callback, backup];
    const rest = { shuffle: false, accumulateSteps, seed: 1, verbose: "silent", epochs: 3 } as const;
    const ended = own.fit(data, { ...rest, callbacks, ...(signal === undefined ? {} : { signal }) });
    try {
      await ended;
      return await own.getWeights();
    } finally {
      own.dispose();
    }
  };
  const expected = await run();
  // After an update, and between the batches of one.
  for (const after of [2, 1]) {
    const controller = new AbortController();
    let batches = 0;
    const stop: Callback = {
      onBatchEnd(step) {
        batches += 1;
        if (batches > data.length && step + 1 === after) controller.abort(new Error("enough"));
      },
    };
    await t.throwsAsync(run(controller.signal, stop), { message: "enough" });
    const checkpoint = readdirSync(join(folder, "run"));
    t.true(checkpoint.includes("states.safetensors"));
    t.deepEqual(await run(new AbortController().signal), expected);
    rmSync(join(folder, "run"), { recursive: true });
  }
});

test("what cannot be stateful is refused", async (t) => {
  const x = input({ shape: [null, 3] });
  const state = input({ shape: [4] });
  t.throws(() => layers.gru({ units: 4, stateful: 1 as never }), { instanceOf: OptionError, message: /stateful/ });
  t.throws(() => layers.gru({ units: 4, stateful: true })(x, { initialState: [state] }), {
    message: /leave initialState out/,
  });
  t.throws(() => layers.bidirectional({ layer: layers.gru({ units: 4, stateful: true }) })(x), {
    message: /cannot be stateful/,
  });
  const sequences = input({ shape: [null, null, 3] });
  t.throws(() => layers.timeDistributed({ layer: layers.gru({ units: 4, stateful: true }) })(sequences), {
    message: /cannot be stateful/,
  });
  const own = tagger("gru", true);
  own.dispose();
  await t.throwsAsync(own.resetStates(), { instanceOf: StateError });
});
