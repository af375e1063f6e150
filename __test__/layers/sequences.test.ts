/** Layers along time: shapes, masks, options, and layers within layers. Their numbers are those of keras-layers.test.ts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { GraphDocument } from "../../src/graph/document.ts";
import {
  FormatError,
  initializers,
  input,
  layers,
  loadModel,
  model,
  ndarray,
  OptionError,
  ShapeError,
  type SymbolicTensor,
} from "../../src/index.ts";
import { restoreGraph } from "../../src/saving/restore-graph.ts";

const sequence = () => input({ shape: [null, 3] });
const masked = () =>
  layers.embedding({ inputDim: 9, outputDim: 3, maskZero: true })(input({ shape: [null], dtype: "int32" }));

test("shapes and masks are known at the call", (t) => {
  t.deepEqual(layers.layerNormalization()(masked()).shape, [null, null, 3]);
  t.true(layers.layerNormalization()(masked()).masked);
  t.deepEqual(layers.globalAveragePooling1d()(masked()).shape, [null, 3]);
  t.deepEqual(layers.globalMaxPooling1d({ keepdims: true })(masked()).shape, [null, 1, 3]);
  const first = { dataFormat: "channelsFirst" } as const;
  t.deepEqual(layers.globalAveragePooling1d(first)(input({ shape: [4, null] })).shape, [null, 4]);
  t.deepEqual(layers.globalMaxPooling1d({ ...first, keepdims: true })(input({ shape: [4, 5] })).shape, [null, 4, 1]);
  t.false(layers.globalAveragePooling1d()(masked()).masked);
  t.false(layers.globalMaxPooling1d()(masked()).masked);
  t.true(layers.masking()(sequence()).masked);
  t.true(layers.spatialDropout1d({ rate: 0.5 })(masked()).masked);
  t.true(layers.softmax()(masked()).masked);
  t.false(layers.softmax({ axis: [1, 2] })(sequence()).masked);
  const x = sequence();
  t.deepEqual(layers.softmax({ axis: 1 })(x, { mask: x }).shape, [null, null, 3]);
});

test("a layer at each step has the time of its input and the weights of the inner layer", (t) => {
  const dense = layers.timeDistributed(layers.dense({ units: 2 }));
  t.deepEqual(dense(masked()).shape, [null, null, 2]);
  t.true(dense(masked()).masked);
  t.deepEqual(
    dense.weights.map(({ name }) => name),
    ["kernel", "bias"],
  );
  const words = input({ shape: [null, 5], dtype: "int32" });
  const table = layers.timeDistributed({ layer: layers.embedding({ inputDim: 4, outputDim: 2, maskZero: true }) });
  t.deepEqual(table(words).shape, [null, null, 5, 2]);
  t.false(table(words).masked, "as in Keras");
  const lstm = layers.timeDistributed({ layer: layers.lstm({ units: 7 }), name: "sentences" });
  const y: SymbolicTensor = lstm(table(words));
  t.deepEqual(y.shape, [null, null, 7]);
  t.is(y.name, "sentences");
  const [all, h, c] = layers.timeDistributed(layers.lstm({ units: 2, returnSequences: true, returnState: true }))(
    table(words),
  );
  t.deepEqual(
    [all, h, c].map(({ shape }) => shape),
    [
      [null, null, 5, 2],
      [null, null, 2],
      [null, null, 2],
    ],
  );
});

test("what a layer gives at each step decides the type of the result", (t) => {
  const states = layers.timeDistributed(layers.lstm({ units: 2, returnState: true }));
  const x = input({ shape: [null, 4, 3] });
  // @ts-expect-error a list is no tensor.
  t.is(states(x).shape, undefined);
  // @ts-expect-error merge layers take a list.
  const sum = layers.timeDistributed(layers.add());
  t.throws(() => sum(x), { instanceOf: ShapeError, message: /expected at least 2 inputs, got 1/ });
});

test("a layer within another belongs to it", (t) => {
  const inner = layers.dense({ units: 2, name: "inner" });
  const outer = layers.timeDistributed(inner);
  t.throws(() => inner(sequence()), {
    instanceOf: OptionError,
    message: /layer inner: it is within a timeDistributed/,
  });
  t.throws(() => layers.timeDistributed(inner), { instanceOf: OptionError, message: /layer inner is within/ });
  t.notThrows(() => outer(sequence()));
  const called = layers.dense({ units: 2, name: "called" });
  called(sequence());
  t.throws(() => layers.timeDistributed(called), { instanceOf: OptionError, message: /layer called was called/ });
});

test("errors of shapes name the layer, what it expected and what it got", (t) => {
  const cases: [() => unknown, RegExp][] = [
    [() => layers.layerNormalization({ axis: 1, name: "n" })(sequence()), /layer n: expected the size of axis 1 to be/],
    [
      () => layers.layerNormalization({ axis: 3, name: "n" })(sequence()),
      /layer n: expected axes from 1 to 2 .* axis 3/,
    ],
    [() => layers.layerNormalization({ axis: [2, -1], name: "n" })(sequence()), /layer n: axis 2 comes twice/],
    [
      () => layers.globalAveragePooling1d({ name: "p" })(input({ shape: [3] })),
      /layer p: expected a sequence of three/,
    ],
    [
      () => layers.globalAveragePooling1d({ name: "p", dataFormat: "channelsFirst" })(masked()),
      /layer p: expected dataFormat channelsLast/,
    ],
    [() => layers.masking({ name: "m" })(input({ shape: [3], dtype: "int32" })), /layer m: .*float32, got int32/],
    [() => layers.spatialDropout1d({ rate: 0.5, name: "d" })(input({ shape: [3] })), /layer d: expected a sequence/],
    [() => layers.softmax({ axis: 3, name: "s" })(sequence()), /layer s: expected axes/],
    [
      () => layers.softmax({ name: "s" })(sequence(), { mask: input({ shape: [2, 4] }) }),
      /layer s: expected a mask whose last axes are 1 or those of the input/,
    ],
    [
      () => layers.timeDistributed({ layer: layers.dense({ units: 2 }), name: "t" })(input({ shape: [3] })),
      /layer t: expected an input of at least three dimensions \[batch, time, ...\], got \[batch, 3\]/,
    ],
    [
      () => layers.timeDistributed({ layer: layers.lstm({ units: 2 }), name: "t" })(sequence()),
      /layer t \(its lstm\): expected a sequence of shape/,
    ],
  ];
  for (const [call, message] of cases) t.throws(call, { instanceOf: ShapeError, message });
});

test("options that are out of range are refused", (t) => {
  const wrong: (() => unknown)[] = [
    () => layers.layerNormalization({ axis: 0 }),
    () => layers.layerNormalization({ axis: [] }),
    () => layers.layerNormalization({ axis: 1.5 }),
    () => layers.layerNormalization({ axis: -33 }),
    () => layers.layerNormalization({ epsilon: -1 }),
    () => layers.layerNormalization({ epsilon: 1e300 }),
    () => layers.layerNormalization({ center: 1 as never }),
    () => layers.layerNormalization({ rmsScaling: true } as never),
    () => layers.globalAveragePooling1d({ keepdims: 1 as never }),
    () => layers.globalMaxPooling1d({ dataFormat: "channels_last" as never }),
    () => layers.masking({ maskValue: Number.NaN }),
    () => layers.masking({ maskValue: 1e300 }),
    () => layers.spatialDropout1d({ rate: 1.1 }),
    () => layers.spatialDropout1d(undefined as never),
    () => layers.softmax({ axis: "last" as never }),
    () => layers.softmax()(sequence(), { masks: sequence() } as never),
    () => layers.softmax()(sequence(), { mask: 3 as never }),
    () => (layers.softmax() as unknown as (...inputs: unknown[]) => unknown)(sequence(), {}, 1),
    () => layers.timeDistributed({} as never),
    () => layers.timeDistributed(undefined as never),
    () => layers.timeDistributed({ layer: "dense" as never }),
    () => layers.timeDistributed({ layer: layers.dense({ units: 2 }), units: 2 } as never),
  ];
  for (const make of wrong) t.throws(make, { instanceOf: OptionError }, String(make));
});

test("all options of the engine get Keras' defaults", (t) => {
  t.deepEqual(layers.layerNormalization().options, {
    axis: [-1],
    epsilon: 1e-3,
    center: true,
    scale: true,
    betaInitializer: { type: "zeros" },
    gammaInitializer: { type: "ones" },
  });
  t.deepEqual(layers.globalAveragePooling1d().options, { dataFormat: "channelsLast", keepdims: false });
  t.deepEqual(layers.globalMaxPooling1d().options, { dataFormat: "channelsLast", keepdims: false });
  t.deepEqual(layers.masking().options, { maskValue: 0 });
  t.deepEqual(layers.softmax().options, { axis: [-1] });
});

test("a model with layers within layers is saved and loaded", async (t) => {
  const words = input({ shape: [null, 2], dtype: "int32" });
  const values = ndarray(
    Float32Array.from({ length: 12 }, (_, index) => index / 7 - 1),
    [4, 3],
  );
  const table = layers.embedding({
    inputDim: 4,
    outputDim: 3,
    embeddingsInitializer: initializers.constant({ value: values }),
  });
  const embedded = layers.timeDistributed(table)(words);
  const sentences = layers.timeDistributed({ layer: layers.lstm({ units: 4, trainable: false }) })(embedded);
  const pooled = layers.globalAveragePooling1d()(layers.layerNormalization()(sentences));
  await using first = model({ inputs: words, outputs: pooled });
  await first.build({ seed: 3 });
  t.deepEqual((await first.getWeights())[0]!.data, values.data, "the values that the inner layer was given");
  const folder = await mkdtemp(join(tmpdir(), "sconce-sequences-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await first.save(join(folder, "model"));
  await using second = await loadModel(join(folder, "model"));
  const data = ndarray(Int32Array.of(1, 2, 3, 0, 1, 1, 2, 2), [1, 4, 2]);
  t.deepEqual((await second.predict(data)).data, (await first.predict(data)).data);
});

test("documents with wrong layers within layers are refused", (t) => {
  const document = (layer: unknown): GraphDocument => ({
    format: "sconce-graph",
    version: 1,
    layers: [
      { name: "x", type: "input", trainable: true, options: { shape: ["batch", 2, 3], dtype: "float32" } },
      { name: "y", type: "timeDistributed", trainable: true, options: { layer: layer as never } },
    ],
    nodes: [
      { layer: 0, inputs: [] },
      { layer: 1, inputs: [[0, 0]] },
    ],
    inputs: [[0, 0]],
    outputs: [[1, 0]],
  });
  const dropout = (rate: unknown) => ({ name: "d", type: "dropout", trainable: true, options: { rate } });
  t.notThrows(() => restoreGraph(document(dropout(0.5))));
  let deep: unknown = dropout(0.5);
  for (let depth = 0; depth < 5000; depth++) {
    deep = { name: "t", type: "timeDistributed", trainable: true, options: { layer: deep } };
  }
  for (const wrong of [
    undefined,
    3,
    null,
    [],
    {},
    { ...dropout(0.5), type: "input" },
    dropout(7),
    { ...dropout(0.5), name: "a/b" },
    deep,
  ]) {
    t.throws(() => restoreGraph(document(wrong)), { instanceOf: FormatError });
  }
});
