import test from "ava";
import { Dataset } from "../../src/data/dataset.ts";
import { type DataBatch, stack } from "../../src/data/example.ts";
import { permutation } from "../../src/data/random.ts";
import { DataError, NaNLossError, OptionError, ShapeError, StateError } from "../../src/errors.ts";
import { fit, terminateOnNaN } from "../../src/training/index.ts";
import { FakeModel, output, pairs } from "./fake-model.ts";

const quiet = { verbose: "silent" } as const;

/** The first id of each row of each step, as row numbers. */
function rowsOf(model: FakeModel, from: "trained" | "tested" = "trained"): number[][] {
  return model[from].map(({ inputs }) => {
    const { data, shape } = inputs[0]!;
    return Array.from({ length: shape[0]! }, (_, row) => data[row * shape[1]!]! / shape[1]!);
  });
}

test("batches come in order without shuffling, and in the order of seed and epoch with it", async (t) => {
  const { x, y } = pairs(7);
  const ordered = new FakeModel();
  await fit(ordered, x, y, { batchSize: 3, epochs: 2, shuffle: false, ...quiet });
  t.deepEqual(rowsOf(ordered), [[0, 1, 2], [3, 4, 5], [6], [0, 1, 2], [3, 4, 5], [6]]);
  t.is(ordered.mostRunning, 1);

  const shuffled = new FakeModel();
  await fit(shuffled, x, y, { batchSize: 3, epochs: 2, seed: 5, ...quiet });
  const expected = [0, 1].flatMap((epoch) => {
    const order = [...permutation(5, epoch, 7)];
    return [order.slice(0, 3), order.slice(3, 6), order.slice(6)];
  });
  t.deepEqual(rowsOf(shuffled), expected);
  for (const { inputs, targets } of shuffled.trained) {
    t.deepEqual(
      [...targets[0]!.data],
      [...inputs[0]!.data].map((id) => id % 5),
    );
  }
});

test("without a seed orders differ from run to run", async (t) => {
  const { x, y } = pairs(50);
  const orders = [];
  for (let run = 0; run < 3; run++) {
    const model = new FakeModel();
    await fit(model, x, y, quiet);
    orders.push(rowsOf(model).flat().join());
  }
  t.is(new Set(orders).size, 3);
});

test("the validation split is the last part, cut before shuffling", async (t) => {
  const { x, y } = pairs(10);
  const model = new FakeModel();
  const history = await fit(model, x, y, { batchSize: 4, validationSplit: 0.25, seed: 1, ...quiet });
  t.deepEqual(
    rowsOf(model)
      .flat()
      .sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6], // floor(10 * 0.75)
  );
  t.deepEqual(rowsOf(model, "tested"), [[7, 8, 9]]);
  t.deepEqual(Object.keys(history.history), ["loss", "accuracy", "valLoss", "valAccuracy"]);
  for (const validationSplit of [0.05, 0.99]) {
    const small = pairs(1);
    await t.throwsAsync(fit(model, small.x, small.y, { validationSplit, ...quiet }), { instanceOf: DataError });
  }
  for (const validationSplit of [0, 1, -1, 2]) {
    await t.throwsAsync(fit(model, x, y, { validationSplit, ...quiet }), { instanceOf: OptionError });
  }
});

test("the loss is weighted by rows, a metric by its counts, and both begin anew in each epoch", async (t) => {
  const { x, y } = pairs(5);
  const model = new FakeModel({ loss: (step) => [1, 4, 10, 40][step]!, testLoss: () => 2 });
  const history = await fit(model, x, y, { batchSize: 3, epochs: 2, validationData: [x, y], ...quiet });
  t.deepEqual(history, {
    epoch: [0, 1],
    history: {
      loss: [(1 * 3 + 4 * 2) / 5, (10 * 3 + 40 * 2) / 5],
      accuracy: [4 / 5, 4 / 5],
      valLoss: [2, 2],
      valAccuracy: [4 / 5, 4 / 5],
    },
  });
});

test("several outputs have names of their own; one without a loss takes no target", async (t) => {
  const outputs = [
    output("head_one", ["batch", 5]),
    output("tail", ["batch", 2]),
    output("states", ["batch", 9], null),
  ];
  const model = new FakeModel({ outputs, loss: () => 6 });
  const { x } = pairs(4);
  const one = Int32Array.of(0, 1, 2, 3);
  const two = Float32Array.of(1, 0, 0, 1, 1, 0, 0, 1);
  const history = await fit(model, x, { tail: { data: two, shape: [4, 2] }, head_one: one }, quiet);
  t.deepEqual(history.history, {
    loss: [6],
    headOneLoss: [6],
    tailLoss: [3],
    headOneAccuracy: [0.5],
    tailAccuracy: [0.5],
  });
  const shapes = model.trained[0]!.targets.map(({ shape }) => shape);
  t.deepEqual(shapes, [[4], [4, 2], [0]]);
  await t.throwsAsync(fit(model, x, { tail: one, head: one }, quiet), { instanceOf: DataError, message: /"head"/ });
  await t.throwsAsync(fit(model, x, [one], quiet), { instanceOf: DataError, message: /expected 2 arrays, got 1/ });
});

test("a fixed number of steps goes on in the data where the epoch before ended", async (t) => {
  const { x, y } = pairs(5);
  const model = new FakeModel();
  await fit(model, x, y, { batchSize: 1, epochs: 2, stepsPerEpoch: 3, shuffle: false, ...quiet });
  t.deepEqual(rowsOf(model).flat(), [0, 1, 2, 3, 4, 0]);
});

test("class weights follow ids and one-hot targets; sample weights pass through", async (t) => {
  const model = new FakeModel({ outputs: [output("dense", ["batch", 3])] });
  const { x } = pairs(4);
  const ids = Int32Array.of(0, 1, 2, 1);
  const oneHot = Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0]);
  const options = { classWeight: { 1: 2, 2: 0.5 }, shuffle: false, ...quiet };
  await fit(model, x, ids, options);
  await fit(model, x, { data: oneHot, shape: [4, 3] }, options);
  await fit(model, x, ids, { sampleWeight: [3, 4, 5, 6], shuffle: false, ...quiet });
  t.deepEqual(
    model.trained.map(({ sampleWeights }) => [...sampleWeights[0]!.data]),
    [
      [1, 2, 0.5, 2],
      [1, 2, 0.5, 2],
      [3, 4, 5, 6],
    ],
  );
  await t.throwsAsync(fit(model, x, ids, { classWeight: { 1: 2 }, sampleWeight: [1, 1, 1, 1], ...quiet }), {
    instanceOf: OptionError,
  });
  await t.throwsAsync(fit(model, x, ids, { sampleWeight: [1, 1, 1], ...quiet }), { instanceOf: DataError });
});

test("gradients of several batches make one update, the last group its own mean", async (t) => {
  const { x, y } = pairs(5);
  const sums = (model: FakeModel) => model.trained.map(({ update, gradientScale }) => [update, gradientScale]);
  const model = new FakeModel();
  await fit(model, x, y, { batchSize: 1, accumulateSteps: 2, ...quiet });
  const expected = [
    [false, 0.5],
    [true, 0.5],
    [false, 0.5],
    [true, 0.5],
    [true, 1],
  ];
  t.deepEqual(sums(model), expected);
  t.is(model.updates, 3);
  // Of an iterable the end is seen, but not in time for the scale.
  const streamed = new FakeModel();
  const dataset = Dataset.fromArrays([x], [y]).batch(1, stack);
  await fit(
    streamed,
    Dataset.fromIterable(() => dataset),
    { accumulateSteps: 2, ...quiet },
  );
  t.deepEqual(sums(streamed), [...expected.slice(0, 4), [true, 0.5]]);
});

test("datasets, lists of batches and iterables are trained on batch by batch", async (t) => {
  const { x, y } = pairs(5);
  const batches = Dataset.fromArrays([x], [y]).batch(2, stack);
  const list: DataBatch[] = [];
  for await (const batch of batches) list.push(batch);
  const expected = [[0, 1], [2, 3], [4], [0, 1], [2, 3], [4]];
  const sources = [batches, list, new Set(list), () => list, { [Symbol.asyncIterator]: () => batches.iterate() }];
  for (const source of sources) {
    const model = new FakeModel();
    await fit(model, source, { epochs: 2, ...quiet });
    t.deepEqual(rowsOf(model), expected);
  }
  const joined = new FakeModel();
  await fit(joined, Dataset.fromArrays([x], [y]), { batchSize: 2, epochs: 2, ...quiet });
  t.deepEqual(rowsOf(joined), expected);
  await t.throwsAsync(fit(new FakeModel(), list.values(), { epochs: 2, ...quiet }), {
    instanceOf: StateError,
    message: /read already/,
  });
});

test("an epoch has all its batches, also where the first one has fewer", async (t) => {
  const { x, y } = pairs(11);
  const batches = Dataset.fromArrays([x], [y])
    .shuffle(4)
    .batch({ length: ({ inputs }) => 1 + (inputs[0]!.data[0]! % 5), batchTokens: 10 }, stack);
  const counts: number[] = [];
  for (let epoch = 0; epoch < 4; epoch++) {
    let count = 0;
    for await (const _ of batches.iterate({ epoch })) count += 1;
    counts.push(count);
  }
  t.deepEqual(counts, [5, 6, 6, 6]);
  const model = new FakeModel();
  const told = new Map<number, number | undefined>();
  const onProgress = ({ epoch, steps }: { epoch: number; steps: number | undefined }) => told.set(epoch, steps);
  const ends: number[] = [];
  const onEpochEnd = () => void ends.push(model.trained.length);
  await fit(model, batches, { epochs: 4, accumulateSteps: 4, callbacks: [{ onEpochEnd }], onProgress, ...quiet });
  t.deepEqual(ends, [5, 11, 17, 23]);
  const all = Array.from({ length: 11 }, (_, row) => row);
  for (const [epoch, end] of ends.entries()) {
    const rows = rowsOf(model).slice(epoch === 0 ? 0 : ends[epoch - 1], end);
    t.deepEqual(
      rows.flat().sort((a, b) => a - b),
      all,
    );
  }
  // The last group of an epoch averages over what it has.
  const scales = model.trained.map(({ gradientScale }) => gradientScale);
  t.deepEqual(scales.slice(0, 11), [0.25, 0.25, 0.25, 0.25, 1, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5]);
  t.is(model.updates, 8);
  t.is(told.get(3), 6);

  const limited = new FakeModel();
  await fit(limited, batches, { epochs: 2, stepsPerEpoch: 3, ...quiet });
  t.is(limited.trained.length, 6);
});

test("options that need arrays are refused for datasets", async (t) => {
  const { x, y } = pairs(5);
  const batches = Dataset.fromArrays([x], [y]).batch(2, stack);
  const model = new FakeModel();
  await t.throwsAsync(fit(model, batches, { validationSplit: 0.2, ...quiet }), {
    instanceOf: OptionError,
    message: /validationData.*dataset\.split/,
  });
  await t.throwsAsync(fit(model, batches, { sampleWeight: [1], ...quiet }), { instanceOf: OptionError });
  await t.throwsAsync(fit(model, batches, { shuffle: true, ...quiet }), { message: /dataset\.shuffle/ });
  await t.throwsAsync(fit(model, batches, y, quiet), { instanceOf: OptionError });
  await t.throwsAsync(fit(model, Dataset.from<never>([]), quiet), { instanceOf: DataError, message: /empty/ });
  await t.throwsAsync(fit(model, [], quiet), { instanceOf: DataError });
});

test("options are checked", async (t) => {
  const { x, y } = pairs(5);
  const wrong: Record<string, unknown>[] = [
    { batchsize: 3 },
    { batchSize: 0 },
    { batchSize: 1.5 },
    { epochs: -1 },
    { seed: -1 },
    { verbose: "loud" },
    { mixedPrecision: true },
    { maxUpdates: 0 },
    { maxUpdates: 1.5 },
    { callbacks: [5] },
    { callbacks: [{ onEpochFinish() {} }] },
    { callbacks: [{ onEpochEnd: 3 }] },
    { signal: {} },
    { onProgress: 1 },
    { validationSplit: 0.2, validationData: [x, y] },
    { accumulateSteps: 0 },
    { classWeight: { a: 1 } },
  ];
  for (const options of wrong) {
    await t.throwsAsync(fit(new FakeModel(), x, y, options), { instanceOf: OptionError }, JSON.stringify(options));
  }
});

test("data are judged before training", async (t) => {
  const { x, y } = pairs(4);
  const model = new FakeModel();
  const refused = (xs: never, ys: never, type: new (message: string) => Error, message: RegExp) =>
    t.throwsAsync(fit(model, xs, ys, quiet), { instanceOf: type, message });
  await refused([[1, 2], [3]] as never, y as never, DataError, /"ids": row 1 has 1 elements where row 0 has 2/);
  await refused(
    [
      [1, 2],
      [3, "a"],
    ] as never,
    y as never,
    DataError,
    /row 1/,
  );
  await refused(Int32Array.of(1, 2) as never, y as never, ShapeError, /"ids".*\[batch, time\], got \[2\]/);
  await refused([[0.5]] as never, [[1]] as never, DataError, /row 0, column 0 holds 0\.5/);
  await refused(x as never, pairs(3).y as never, DataError, /3 rows, but .* 4/);
  await refused(x as never, pairs(4, 2).y as never, ShapeError, /axis 1 is 3 in input "ids"/);
  await refused(x as never, { data: new Float32Array(12), shape: [4, 3] } as never, ShapeError, /ids come in an Int32/);
  await refused({ data: new Int32Array(5), shape: [2, 3] } as never, y as never, DataError, /needs 6 values, got 5/);
  await refused({ data: new Int32Array(5), shape: [-2, 3] } as never, y as never, DataError, /not a size/);
  await refused([x, x] as never, y as never, DataError, /expected 1 arrays, got 2/);
  await refused(x as never, undefined as never, DataError, /targets are missing/);
  await refused("text" as never, y as never, DataError, /string/);
  await refused(
    { data: new Int32Array(0), shape: [0, 3] } as never,
    { data: new Int32Array(0), shape: [0, 3] } as never,
    DataError,
    /no rows/,
  );
  t.is(model.trained.length, 0);
});

test("nested arrays and integral floats serve as ids, ids of the output's rank as probabilities", async (t) => {
  const model = new FakeModel({ outputs: [output("dense", ["batch", "time", 2])] });
  const options = { shuffle: false, ...quiet };
  await fit(
    model,
    [
      [1, 2],
      [3, 4],
    ],
    [
      [0, 1],
      [1, 0],
    ],
    options,
  ); // prettier-ignore
  await fit(
    model,
    { data: Float32Array.of(1, 2), shape: [1, 2] },
    [
      [
        [0, 1],
        [1, 0],
      ],
    ],
    options,
  ); // prettier-ignore
  await fit(model, [{ data: Int32Array.of(1, 2), shape: [1, 2] }], [[[1], [0]]], options);
  t.deepEqual(
    model.trained.map(({ inputs, targets }) => [inputs[0]!.data, targets[0]!.data, targets[0]!.shape]),
    [
      [Int32Array.of(1, 2, 3, 4), Int32Array.of(0, 1, 1, 0), [2, 2]],
      [Int32Array.of(1, 2), Float32Array.of(0, 1, 1, 0), [1, 2, 2]],
      [Int32Array.of(1, 2), Int32Array.of(1, 0), [1, 2]],
    ],
  );
});

test("a loss that is not a number rejects, naming epoch and step, or ends the training on request", async (t) => {
  const { x, y } = pairs(4);
  const loss = (step: number) => (step === 5 ? Number.NaN : 1);
  const model = new FakeModel({ loss });
  let ended = 0;
  const callback = {
    onTrainEnd: () => {
      ended += 1;
    },
  };
  await t.throwsAsync(fit(model, x, y, { batchSize: 1, epochs: 3, callbacks: [callback], ...quiet }), {
    instanceOf: NaNLossError,
    message: /epoch 1, step 1/,
  });
  t.is(ended, 1);
  const tolerant = new FakeModel({ loss });
  const history = await fit(tolerant, x, y, { batchSize: 1, epochs: 3, callbacks: [terminateOnNaN()], ...quiet });
  t.deepEqual(history.history.loss, [1, Number.NaN]);
  t.is(tolerant.trained.length, 6);
});

test("two runs at once are refused, and the model is free again after each end", async (t) => {
  const { x, y } = pairs(4);
  const model = new FakeModel();
  const first = fit(model, x, y, quiet);
  await t.throwsAsync(fit(model, x, y, quiet), { instanceOf: StateError, message: /being trained by fit/ });
  await first;
  await t.throwsAsync(fit(model, x, Int32Array.of(1), quiet));
  await fit(model, x, y, quiet);
  t.is(model.trained.length, 2);
});

test("an abort rejects with its reason between steps, within one, before the first, and while data are awaited", async (t) => {
  const { x, y } = pairs(8);
  const reason = new Error("enough");
  const aborted = async (run: (controller: AbortController, model: FakeModel) => Promise<unknown>, steps: number) => {
    const model = new FakeModel();
    const error = await t.throwsAsync(run(new AbortController(), model));
    t.is(error, reason);
    t.is(model.trained.length, steps);
    await fit(model, x, y, quiet);
  };
  const stopAt = (controller: AbortController, hook: "onBatchBegin" | "onBatchEnd") => ({
    [hook]: (step: number) => void (step === 2 && controller.abort(reason)),
  });
  for (const [hook, steps] of [
    ["onBatchEnd", 3],
    ["onBatchBegin", 2],
  ] as const) {
    await aborted((controller, model) => {
      const callbacks = [stopAt(controller, hook)];
      return fit(model, x, y, { batchSize: 1, callbacks, signal: controller.signal, ...quiet });
    }, steps);
  }
  await aborted((controller, model) => {
    controller.abort(reason);
    return fit(model, x, y, { signal: controller.signal, ...quiet });
  }, 0);
  await aborted((controller, model) => {
    setTimeout(() => controller.abort(reason), 5);
    const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    return fit(model, never, { signal: controller.signal, ...quiet });
  }, 0);
});

test("arrays that are transferred away during training reject that call", async (t) => {
  const { x, y } = pairs(8);
  const buffer = x.data.buffer as ArrayBuffer;
  const callbacks = [
    { onBatchBegin: () => void (buffer.byteLength > 0 && structuredClone(buffer, { transfer: [buffer] })) },
  ];
  await t.throwsAsync(fit(new FakeModel(), x, y, { batchSize: 1, callbacks, ...quiet }), { instanceOf: DataError });
});
