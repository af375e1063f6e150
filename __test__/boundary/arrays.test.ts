import test from "ava";
import {
  DataError,
  input,
  LimitError,
  layers,
  model,
  NaNLossError,
  ndarray,
  type SconceError,
  ShapeError,
  terminateOnNaN,
} from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";
import { classifier, floats, ids } from "./small-model.ts";

type Failure = new (message: string) => SconceError;

test("arrays that do not fit are refused, naming input and place, and the model goes on", async (t) => {
  const net = classifier();
  const x = floats(4, 3);
  const y = ids(4, 4);
  const short = { data: new Float32Array(11), shape: [4, 3] };
  const cases: [name: string, x: unknown, y: unknown, failure: Failure, message: RegExp][] = [
    ["short", short, y, DataError, /"numbers".*\[4, 3\] needs 12 values, got 11/],
    ["negative size", { data: x.data, shape: [-4, -3] }, y, DataError, /-4.*not a size/],
    ["fractional size", { data: x.data, shape: [2.5, 4.8] }, y, DataError, /2\.5.*not a size/],
    ["size that is NaN", { data: x.data, shape: [Number.NaN, 3] }, y, DataError, /not a size/],
    ["huge size", { data: x.data, shape: [2 ** 40, 2 ** 40] }, y, DataError, /needs|not a size/],
    ["wrong width", floats(3, 4), y, ShapeError, /"numbers".*expected shape \[batch, 3\], got \[3, 4\]/],
    ["too many axes", ndarray(x.data, [4, 3, 1]), y, ShapeError, /"numbers"/],
    ["other rows", x, ids(3, 4), DataError, /has 3 rows, but.*has 4/],
    ["ragged", [[1, 2, 3], [1, 2]], ids(2, 4), DataError, /row 1 has 2 elements where row 0 has 3/], // biome-ignore format: a matrix
    ["a hole", [[1, 2, undefined]], ids(1, 4), DataError, /row 0.*undefined/],
    ["text", [["1", "2", "3"]], ids(1, 4), DataError, /a string/],
    ["big integers", new BigInt64Array(3), y, DataError, /expected an array of numbers/],
    ["nothing", undefined, y, DataError, /undefined/],
    ["no rows", ndarray(new Float32Array(0), [0, 3]), ids(0, 4), DataError, /no rows/],
    ["an empty list", [], [], DataError, /no rows|at least one|expected/],
    ["no targets", x, undefined, DataError, /targets are missing/],
    ["floats as ids", x, Float32Array.of(0, 1, 2, 2.5), ShapeError, /ids come in an Int32Array/],
    ["ids beyond 32 bits", x, [0, 1, 2, 2 ** 40], DataError, /row 3/],
  ];
  for (const [name, badX, badY, instanceOf, message] of cases) {
    await t.throwsAsync(net.fit(badX as never, badY as never, { verbose: 0 }), { instanceOf, message }, `fit: ${name}`);
    const single = net.trainOnBatch(badX as never, badY as never);
    await t.throwsAsync(single, { instanceOf, message }, `trainOnBatch: ${name}`);
  }
  await t.notThrowsAsync(net.fit(x, y, { verbose: 0 }));
});

test("arrays that were transferred away are refused", async (t) => {
  const net = classifier();
  const x = floats(4, 3);
  structuredClone(x.data, { transfer: [x.data.buffer as ArrayBuffer] });
  const expected = { instanceOf: DataError, message: /transferred away/ };
  await t.throwsAsync(net.fit(x, ids(4, 4), { verbose: 0 }), expected);
  await t.throwsAsync(net.predict(x), expected);
});

test("an array that is transferred away right after the call harms that call alone", async (t) => {
  const net = classifier();
  await net.build();
  const x = floats(64, 3);
  const running = net.predict(x, { batchSize: 1 });
  structuredClone(x.data, { transfer: [x.data.buffer as ArrayBuffer] });
  await t.throwsAsync(running, { instanceOf: DataError, message: /transferred away/ });
  await t.notThrowsAsync(net.predict(floats(64, 3)));
});

test("shared memory is read like other memory", async (t) => {
  const net = classifier();
  const own = floats(4, 3);
  const shared = new Float32Array(new SharedArrayBuffer(own.data.byteLength + 4), 4, own.data.length);
  shared.set(own.data);
  const sharedIds = new Int32Array(new SharedArrayBuffer(16));
  sharedIds.set(ids(4, 4).data);
  const x = { data: shared, shape: [4, 3] };
  t.deepEqual(await net.predict(x as never), await net.predict(own));
  await t.notThrowsAsync(net.fit(x as never, sharedIds as never, { verbose: 0 }));
});

test("ids out of range are refused, naming layer, row and column, in inputs and targets", async (t) => {
  const { translator } = textbook();
  translator.compile({ loss: "sparseCategoricalCrossentropy" });
  const good = () => ndarray(new Int32Array(6).fill(1), [2, 3]);
  await translator.build();
  const before = await translator.getWeights();
  for (const id of [-1, 12, 2 ** 31 - 1, -(2 ** 31)]) {
    const bad = good();
    bad.data[4] = id;
    const place = new RegExp(`${id}.*row 1, column 1`);
    const running = translator.fit([good(), bad], good(), { shuffle: false, verbose: 0 });
    const table = await t.throwsAsync(running, { instanceOf: DataError });
    t.regex(table?.message ?? "", place);
    t.regex(table?.message ?? "", /embedding/);
    const target = await t.throwsAsync(translator.trainOnBatch([good(), good()], bad), { instanceOf: DataError });
    t.regex(target?.message ?? "", place);
    t.regex(target?.message ?? "", /dense/);
    await t.throwsAsync(translator.predict([bad, good()]), { instanceOf: DataError, message: place });
  }
  t.deepEqual(await translator.getWeights(), before, "nothing was trained");
});

test("sequences without length, batches of padding alone, and batches without rows give values or typed errors", async (t) => {
  const { translator } = textbook();
  translator.compile({ loss: "sparseCategoricalCrossentropy", metrics: ["accuracy", "perplexity"] });
  const padding = ndarray(new Int32Array(6), [2, 3]);
  const masked = await translator.trainOnBatch([padding, padding], padding);
  t.true(Object.values(masked).every(Number.isFinite), JSON.stringify(masked));
  for (const { data } of await translator.getWeights()) t.true(data.every(Number.isFinite));
  const none = ndarray(new Int32Array(0), [2, 0]);
  t.deepEqual((await translator.predict([padding, none])).shape, [2, 0, 12]);
  t.deepEqual((await translator.predict([none, padding])).shape, [2, 3, 12]);
  const empty = await translator.trainOnBatch([none, none], none);
  t.true(Number.isFinite(empty.loss), JSON.stringify(empty));
  const rowless = ndarray(new Int32Array(0), [0, 3]);
  await t.throwsAsync(translator.predict([rowless, rowless]), { instanceOf: DataError, message: /no rows/ });
});

test("a loss that is not a number is a typed error of that call, or ends the run on request", async (t) => {
  const x = floats(4, 3);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const net = classifier();
    const bad = floats(4, 3);
    bad.data[5] = value;
    const expected = { instanceOf: NaNLossError, message: /epoch 0, step 0/ };
    await t.throwsAsync(net.fit(bad, ids(4, 4), { verbose: 0 }), expected, `${value}`);
    await t.throwsAsync(net.trainOnBatch(bad, ids(4, 4)), { instanceOf: NaNLossError }, `${value}`);
  }
  const net = classifier();
  await net.build();
  const weights = await net.getWeights();
  weights[0]!.data[0] = Number.NaN;
  await net.setWeights(weights);
  await t.throwsAsync(net.fit(x, ids(4, 4), { verbose: 0 }), { instanceOf: NaNLossError });
  const { history } = await net.fit(x, ids(4, 4), { verbose: 0, epochs: 5, callbacks: [terminateOnNaN()] });
  t.is(history.loss!.length, 1);
  t.true(Number.isNaN((await net.predict(x)).data[0]));
});

test("weights that do not fit change nothing", async (t) => {
  const net = classifier();
  await net.build();
  const before = await net.getWeights();
  const [kernel, bias] = before as [(typeof before)[0], (typeof before)[0]];
  const transferred = { data: new Float32Array(12), shape: [3, 4] };
  structuredClone(transferred.data, { transfer: [transferred.data.buffer] });
  for (const [name, weights, instanceOf] of [
    ["too few", [kernel], ShapeError],
    ["too many", [kernel, bias, bias], ShapeError],
    ["swapped", [bias, kernel], ShapeError],
    ["short", [kernel, { data: new Float32Array(3), shape: [4] }], ShapeError],
    ["transferred away", [transferred, bias], ShapeError],
    ["no list", kernel, DataError],
    ["holes", [kernel, null], DataError],
    ["nothing", undefined, DataError],
  ] as unknown as [string, never, Failure][]) {
    await t.throwsAsync(net.setWeights(weights), { instanceOf }, name);
  }
  t.deepEqual(await net.getWeights(), before);
});

test("an output over ids as floats, and an input given floats that are integers, are converted", async (t) => {
  const x = input({ shape: [null], dtype: "int32" });
  const net = model({ inputs: x, outputs: layers.embedding({ inputDim: 3, outputDim: 2 })(x) });
  await t.throwsAsync(net.predict([[0.5, 1]]), { instanceOf: DataError, message: /row 0, column 0 holds 0\.5/ });
  await t.throwsAsync(net.predict(ndarray(Float32Array.of(0, Number.NaN), [1, 2])), { instanceOf: DataError });
  t.deepEqual((await net.predict(ndarray(Float32Array.of(0, 2), [1, 2]))).shape, [1, 2, 2]);
});

test("weights that the machine has no memory for are refused before anything is allocated", async (t) => {
  const x = input({ shape: [30] });
  const net = model({ inputs: x, outputs: layers.dense({ units: 2 ** 31 - 1 })(x) });
  await t.throwsAsync(net.build(), { instanceOf: LimitError, message: /making the weights takes about/ });
  await t.throwsAsync(net.predict(floats(1, 30)), { instanceOf: LimitError });
});
