import test from "ava";
import { initializers, input, layers, OptionError, ShapeError, StateError } from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";

const ids = () => input({ shape: [null], dtype: "int32" });
const sequence = () => input({ shape: [null, 3] });

test("shapes are known at the call", (t) => {
  t.deepEqual(ids().shape, [null, null]);
  const embedded = layers.embedding({ inputDim: 9, outputDim: 5 })(ids());
  t.deepEqual(embedded.shape, [null, null, 5]);
  t.is(embedded.dtype, "float32");
  t.deepEqual(layers.lstm({ units: 7, returnSequences: true })(embedded).shape, [null, null, 7]);
  t.deepEqual(layers.dense({ units: 2 })(embedded).shape, [null, null, 2]);
  t.deepEqual(layers.concatenate()([embedded, embedded]).shape, [null, null, 10]);
  t.deepEqual(layers.add()([embedded, embedded]).shape, [null, null, 5]);
  for (const merge of ["subtract", "multiply", "average", "maximum", "minimum"] as const) {
    t.deepEqual(layers[merge]()([embedded, embedded]).shape, [null, null, 5], merge);
  }
  t.deepEqual(layers.repeatVector({ n: 4 })(input({ shape: [3] })).shape, [null, 4, 3]);
  t.deepEqual(layers.dropout({ rate: 0.5 })(embedded).shape, [null, null, 5]);
  t.deepEqual(layers.activation({ activation: "softmax" })(embedded).shape, [null, null, 5]);
});

test("maskZero gives a mask that layers pass on", (t) => {
  const embedded = layers.embedding({ inputDim: 9, outputDim: 5, maskZero: true })(ids());
  t.true(embedded.masked);
  t.true(layers.lstm({ units: 2, returnSequences: true })(embedded).masked);
  t.false(layers.lstm({ units: 2 })(embedded).masked);
  t.false(layers.embedding({ inputDim: 9, outputDim: 5 })(ids()).masked);
});

test("errors of shapes name the layer, what it expected and what it got", (t) => {
  const cases: [() => unknown, RegExp][] = [
    [() => layers.dense({ units: 2, name: "out" })(ids()), /layer out: expected its input to be float32, got int32/],
    [() => layers.embedding({ inputDim: 2, outputDim: 2, name: "table" })(sequence()), /layer table: expected ids/],
    [() => layers.lstm({ units: 2, name: "memory" })(input({ shape: [3] })), /layer memory: expected a sequence/],
    [
      () =>
        layers.lstm({ units: 2, name: "memory" })(sequence(), {
          initialState: [input({ shape: [3] }), input({ shape: [2] })],
        }),
      /layer memory: expected initial states of shape \[batch, 2\], got \[batch, 3\]/,
    ],
    [() => layers.add({ name: "sum" })([sequence(), input({ shape: [3] })]), /layer sum: expected inputs of one shape/],
    [
      () => layers.subtract({ name: "less" })([sequence(), sequence(), sequence()]),
      /layer less: expected exactly 2 inputs, got 3/,
    ],
    [() => layers.subtract({ name: "less" })([sequence()]), /layer less: expected exactly 2 inputs, got 1/],
    [
      () => layers.repeatVector({ n: 2, name: "again" })(sequence()),
      /layer again: expected a vector of shape \[batch, features\], got/,
    ],
    [() => layers.multiply({ name: "gate" })([sequence()]), /layer gate: expected at least 2 inputs, got 1/],
    [() => layers.average({ name: "mean" })([]), /layer mean: expected at least 2 inputs, got 0/],
    [
      () => layers.maximum({ name: "top" })([sequence(), input({ shape: [null, 4] })]),
      /layer top: expected inputs of one shape, got \[batch, [^\]]*, 3\] and \[batch, [^\]]*, 4\]/,
    ],
    [() => layers.minimum({ name: "low" })([ids(), ids()]), /layer low: expected its inputs to be float32, got int32/],
    [() => layers.concatenate({ axis: 0, name: "both" })([sequence(), sequence()]), /layer both: axis 0/],
    [() => layers.dense({ units: 2, name: "out" })(input({ shape: [null] })), /layer out: .*last dimension is known/],
  ];
  for (const [call, message] of cases) t.throws(call, { instanceOf: ShapeError, message });
});

test("a shared layer keeps the shapes of its first call", (t) => {
  const dense = layers.dense({ units: 2, name: "shared" });
  dense(input({ shape: [3] }));
  t.notThrows(() => dense(input({ shape: [null, 3] })));
  t.throws(() => dense(input({ shape: [4] })), {
    instanceOf: ShapeError,
    message: /layer shared: expected inputs like those of its first call \(kernel \[3, 2\]\), got .* kernel \[4, 2\]/,
  });
});

test("weights have Keras' names, order and shapes", (t) => {
  const lstm = layers.lstm({ units: 2 });
  t.deepEqual(lstm.weights, []);
  lstm(sequence());
  t.deepEqual(lstm.weights, [
    { name: "kernel", shape: [3, 8] },
    { name: "recurrentKernel", shape: [2, 8] },
    { name: "bias", shape: [8] },
  ]);
  t.is(lstm.countParams(), 24 + 16 + 8);
});

test("options that are out of range are refused", (t) => {
  const wrong: (() => unknown)[] = [
    () => layers.dense({ units: 0 }),
    () => layers.dense({ units: 1.5 }),
    () => layers.dense({ units: "4" as never }),
    () => layers.dense(undefined as never),
    () => layers.dense({ units: 2, useBias: "yes" as never }),
    () => layers.dense({ units: 2, kernelInitializer: "glorot" as never }),
    () => layers.dense({ units: 2, name: "a/b" }),
    () => layers.dense({ units: 2, name: "" }),
    () => layers.dense({ units: 2, trainable: 1 as never }),
    () => layers.lstm({ units: 2, dropout: 1 }),
    () => layers.lstm({ units: 2, recurrentDropout: -0.1 }),
    () => layers.embedding({ inputDim: -1, outputDim: 2 }),
    () => layers.embedding({ inputDim: 2, outputDim: 2, embeddingsInitializer: "glove:50d" }),
    () => layers.dropout({ rate: 2 }),
    () => layers.dropout({ rate: Number.NaN }),
    () => layers.concatenate({ axis: 0.5 }),
    () => layers.repeatVector({ n: 0 }),
    () => layers.repeatVector({ n: 1.5 }),
    () => layers.repeatVector(undefined as never),
    () => layers.maximum({ axis: 1 } as never),
    () => input({ shape: [0] }),
    () => input({ shape: [-3] }),
    () => input({ shape: 3 as never }),
    () => input({ shape: [2], dtype: "float64" as never }),
  ];
  for (const make of wrong) t.throws(make, { instanceOf: OptionError }, String(make));
});

test("all options of the engine get Keras' defaults", (t) => {
  const { name, ...rest } = layers.lstm({ units: 2 }).document("lstm");
  t.is(name, "lstm");
  t.deepEqual(rest, {
    type: "lstm",
    trainable: true,
    options: {
      units: 2,
      activation: "tanh",
      recurrentActivation: "sigmoid",
      useBias: true,
      unitForgetBias: true,
      kernelInitializer: { type: "glorotUniform" },
      recurrentInitializer: { type: "orthogonal", gain: 1 },
      biasInitializer: { type: "zeros" },
      dropout: 0,
      recurrentDropout: 0,
      returnSequences: false,
      returnState: false,
      goBackwards: false,
      zeroOutputForMask: false,
    },
  });
  t.deepEqual(layers.embedding({ inputDim: 2, outputDim: 3 }).options, {
    inputDim: 2,
    outputDim: 3,
    maskZero: false,
    embeddingsInitializer: { type: "randomUniform", minval: -0.05, maxval: 0.05 },
  });
  t.deepEqual(layers.dense({ units: 2 }).options, {
    units: 2,
    activation: "linear",
    useBias: true,
    kernelInitializer: { type: "glorotUniform" },
    biasInitializer: { type: "zeros" },
  });
});

test("a layer reads and sets its own weights once a model has it", async (t) => {
  const { translator, decoderDense, embedding } = textbook();
  await t.throwsAsync(decoderDense.getWeights(), { instanceOf: StateError }, "not built");
  await translator.build({ seed: 5 });
  const [kernel, bias] = await decoderDense.getWeights();
  t.deepEqual(kernel!.shape, [4, 12]);
  kernel!.data.fill(0.25);
  await decoderDense.setWeights([kernel!, bias!]);
  const all = await translator.getWeights();
  t.true(all.at(-2)!.data.every((value) => value === 0.25));
  t.deepEqual((await embedding.getWeights())[0]!.data, all[0]!.data);
  await t.throwsAsync(decoderDense.setWeights([kernel!]), { instanceOf: ShapeError, message: /expected 2 arrays/ });
  await t.throwsAsync(decoderDense.setWeights([bias!, bias!]), { instanceOf: ShapeError, message: /dense\/kernel/ });
  await t.throwsAsync(layers.dense({ units: 2 }).getWeights(), { instanceOf: StateError, message: /no model yet/ });
});

test("a layer whose values are given by the user begins with them", async (t) => {
  const { model, ndarray } = await import("../../src/index.ts");
  const x = input({ shape: [2] });
  const values = ndarray(Float32Array.of(1, 2, 3, 4), [2, 2]);
  const dense = layers.dense({ units: 2, kernelInitializer: initializers.constant({ value: values }) });
  await using one = model({ inputs: x, outputs: dense(x) });
  await one.build();
  t.deepEqual((await one.getWeights())[0]!.data, values.data);
  const wrong = layers.dense({ units: 3, kernelInitializer: initializers.constant({ value: values }), name: "wide" });
  await using other = model({ inputs: x, outputs: wrong(x) });
  await t.throwsAsync(other.build(), { instanceOf: ShapeError, message: /layer wide: .*\[2, 2\].*\[2, 3\]/ });
});
