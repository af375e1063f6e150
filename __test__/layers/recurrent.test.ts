/** GRU, simple RNN and bidirectional layers: shapes, weights, options, and what cannot be. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  FormatError,
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
import { formulaValues } from "../helpers/formula-weights.ts";

const sequence = () => input({ shape: [null, 3] });
const state = (units = 2) => input({ shape: [units] });

test("shapes and masks of every recurrent layer", (t) => {
  const masked = layers.embedding({ inputDim: 9, outputDim: 3, maskZero: true })(
    input({ shape: [null], dtype: "int32" }),
  );
  const all = { units: 2, returnSequences: true } as const;
  for (const make of [layers.gru, layers.simpleRnn]) {
    t.deepEqual(make({ units: 2 })(masked).shape, [null, 2]);
    t.deepEqual(make(all)(masked).shape, [null, null, 2]);
    t.deepEqual([make(all)(masked).masked, make({ units: 2 })(masked).masked], [true, false]);
    const both = layers.bidirectional({ layer: make(all) })(masked);
    t.deepEqual([both.shape, both.masked], [[null, null, 4], true]);
  }
  const layer = layers.lstm({ ...all, returnState: true });
  for (const mergeMode of ["sum", "mul", "ave"] as const) {
    const [y, ...states] = layers.bidirectional({ layer, mergeMode })(masked);
    t.deepEqual(y.shape, [null, null, 2]);
    t.deepEqual(
      states.map(({ shape }) => shape),
      Array(4).fill([null, 2]),
    );
  }
  const [forward, backward] = layers.bidirectional({ layer: layers.gru(all), mergeMode: null })(masked);
  t.deepEqual([forward.shape, backward.shape], Array(2).fill([null, null, 2]));
  t.deepEqual([forward.masked, backward.masked], [true, true]);
});

test("the type of the result follows the wrapped layer and the merge mode", (t) => {
  const x = sequence();
  const one: SymbolicTensor = layers.bidirectional({ layer: layers.gru({ units: 2 }) })(x);
  const [gru, gruForward, gruBackward]: [SymbolicTensor, SymbolicTensor, SymbolicTensor] = layers.bidirectional({
    layer: layers.gru({ units: 2, returnState: true }),
  })(x);
  const two: [SymbolicTensor, SymbolicTensor] = layers.bidirectional({
    layer: layers.simpleRnn({ units: 2 }),
    mergeMode: null,
  })(x);
  const six: [SymbolicTensor, SymbolicTensor, SymbolicTensor, SymbolicTensor, SymbolicTensor, SymbolicTensor] =
    layers.bidirectional({ layer: layers.lstm({ units: 2, returnState: true }), mergeMode: null })(x);
  t.deepEqual([one.shape, gru.shape], Array(2).fill([null, 4]));
  t.deepEqual(
    [gruForward, gruBackward, ...two, ...six].map(({ shape }) => shape),
    Array(10).fill([null, 2]),
  );
  // @ts-expect-error there is no list without returnState.
  t.throws(() => layers.bidirectional({ layer: layers.gru({ units: 2 }) })(x)[0].shape, { instanceOf: TypeError });
  // @ts-expect-error a dense layer has no time.
  t.throws(() => layers.bidirectional({ layer: layers.dense({ units: 2 }) }), {
    instanceOf: OptionError,
    message: /layer must be a layer of lstm, gru or simpleRnn, got a layer of type dense/,
  });
  const wrong = (states: number) => ({
    instanceOf: OptionError,
    message: new RegExp(`initialState must be a list of ${states} tensors? \\[`),
  });
  // @ts-expect-error a GRU has one state.
  t.throws(() => layers.gru({ units: 2 })(x, { initialState: [state(), state()] }), wrong(1));
  const lstm = layers.bidirectional({ layer: layers.lstm({ units: 2 }) });
  // @ts-expect-error both directions have states.
  t.throws(() => lstm(x, { initialState: [state(), state()] }), wrong(4));
  t.notThrows(() => lstm(x, { initialState: [state(), state(), state(), state()] }));
  // @ts-expect-error a simple RNN has no gates.
  t.throws(() => layers.simpleRnn({ units: 2, recurrentActivation: "sigmoid" }), { instanceOf: OptionError });
});

test("weights have Keras' order and layouts, those of the forward layer first", (t) => {
  const gru = layers.gru({ units: 2 });
  gru(sequence());
  t.deepEqual(gru.weights, [
    { name: "kernel", shape: [3, 6] },
    { name: "recurrentKernel", shape: [2, 6] },
    { name: "bias", shape: [2, 6] },
  ]);
  const before = layers.gru({ units: 2, resetAfter: false });
  before(sequence());
  t.deepEqual(before.weights.at(-1), { name: "bias", shape: [6] });
  const rnn = layers.simpleRnn({ units: 2 });
  rnn(sequence());
  t.is(rnn.countParams(), 6 + 4 + 2);
  const layer = layers.simpleRnn({ units: 2, name: "reader" });
  const backwardLayer = layers.simpleRnn({ units: 4, useBias: false, goBackwards: true });
  const both = layers.bidirectional({ layer, backwardLayer });
  t.deepEqual(both(sequence()).shape, [null, 6]);
  t.deepEqual(both.weights, [
    { name: "forward_reader/kernel", shape: [3, 2] },
    { name: "forward_reader/recurrentKernel", shape: [2, 2] },
    { name: "forward_reader/bias", shape: [2] },
    { name: "backward_simpleRnn/kernel", shape: [3, 4] },
    { name: "backward_simpleRnn/recurrentKernel", shape: [4, 4] },
  ]);
  t.deepEqual(layer.weights, [], "the layer itself is copied");
});

test("options that are out of range or do not fit are refused", (t) => {
  const forward = () => layers.lstm({ units: 2 });
  const backward = (options: object = {}) => layers.lstm({ units: 2, goBackwards: true, ...options });
  const wrong: [() => unknown, RegExp][] = [
    [() => layers.gru({ units: 0 }), /^gru: units/],
    [() => layers.gru({ units: 2, resetAfter: 1 as never }), /^gru: resetAfter/],
    [() => layers.gru({ units: 2, unitForgetBias: true } as never), /^gru: unknown option "unitForgetBias"/],
    [() => layers.simpleRnn({ units: 2, recurrentDropout: 1 }), /^simpleRnn: recurrentDropout must be below 1/],
    [() => layers.simpleRnn({ units: 2, dropout: -0.5 }), /^simpleRnn: dropout/],
    [() => layers.bidirectional({} as never), /^bidirectional: layer must be/],
    [() => layers.bidirectional({ layer: forward(), mergeMode: "max" as never }), /^bidirectional: mergeMode/],
    [() => layers.bidirectional({ layer: backward() }), /must differ in goBackwards, both have true/],
    [
      () => layers.bidirectional({ layer: forward(), backwardLayer: forward() }),
      /differ in goBackwards, both have false/,
    ],
    [
      () => layers.bidirectional({ layer: forward(), backwardLayer: backward({ returnSequences: true }) }),
      /agree on returnSequences, got false and true/,
    ],
    [
      () => layers.bidirectional({ layer: forward(), backwardLayer: backward({ units: 3 }), mergeMode: "sum" }),
      /mergeMode sum needs layers of the same units, got 2 and 3/,
    ],
    [
      () =>
        layers.bidirectional({
          layer: forward(),
          backwardLayer: layers.gru({ units: 2, goBackwards: true }) as never,
        }),
      /equally many states/,
    ],
  ];
  for (const [make, message] of wrong) t.throws(make, { instanceOf: OptionError, message }, String(make));
  const shapes: [() => unknown, RegExp][] = [
    [() => layers.gru({ units: 2, name: "gate" })(input({ shape: [3] })), /layer gate: expected a sequence/],
    [
      () => layers.gru({ units: 2, name: "gate" })(sequence(), { initialState: [state(3)] }),
      /layer gate: expected initial states of shape \[batch, 2\], got \[batch, 3\]/,
    ],
    [
      () => layers.bidirectional({ layer: forward(), name: "both" })(input({ shape: [3] })),
      /layer both: expected a sequence/,
    ],
  ];
  for (const [call, message] of shapes) t.throws(call, { instanceOf: ShapeError, message });
});

test("a wrapped layer that is not trained keeps its weights", async (t) => {
  const x = sequence();
  const layer = layers.gru({ units: 2 });
  const backwardLayer = layers.gru({ units: 2, goBackwards: true, trainable: false });
  const y = layers.dense({ units: 2, activation: "softmax" })(layers.bidirectional({ layer, backwardLayer })(x));
  await using tested = model({ inputs: x, outputs: y });
  tested.compile({ optimizer: "sgd", loss: "categoricalCrossentropy" });
  await tested.build();
  const before = await tested.getWeights();
  const data = ndarray(formulaValues(1, 24, 1), [2, 4, 3]);
  await tested.fit(data, ndarray(Float32Array.of(1, 0, 0, 1), [2, 2]), { verbose: "silent" });
  const changed = (await tested.getWeights()).map(({ data }, index) =>
    data.some((x, at) => x !== before[index]!.data[at]),
  );
  t.deepEqual(changed, [true, true, true, false, false, false, true, true]);
});

test("a model of recurrent layers computes the same after loading", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-recurrent-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const x = sequence();
  const encoder = layers.bidirectional({
    layer: layers.gru({ units: 4, returnSequences: true, name: "reader" }),
    backwardLayer: layers.gru({ units: 3, returnSequences: true, goBackwards: true, resetAfter: false }),
    name: "encoder",
  });
  const [y, z] = layers.bidirectional({ layer: layers.simpleRnn({ units: 5 }), mergeMode: null })(encoder(x));
  await using first = model({ inputs: x, outputs: [y, z] });
  await first.build({ seed: 4 });
  await first.save(join(folder, "model"));
  await using loaded = await loadModel(join(folder, "model"));
  t.deepEqual(loaded.document, first.document);
  const data = ndarray(formulaValues(2, 36, 1), [3, 4, 3]);
  t.deepEqual(await loaded.predict(data), await first.predict(data));
});

test("a document that wraps what cannot be wrapped is refused", (t) => {
  const x = sequence();
  const both = layers.bidirectional({ layer: layers.gru({ units: 2 }) });
  const { document } = model({ inputs: x, outputs: both(x) });
  const changed = (change: (options: Record<string, unknown>) => unknown) => {
    const copy = JSON.parse(JSON.stringify(document)) as {
      layers: { type: string; options: Record<string, unknown> }[];
    };
    change(copy.layers.find(({ type }) => type === "bidirectional")!.options);
    return () => restoreGraph(copy as never);
  };
  t.notThrows(changed(() => undefined));
  const inner = (options: Record<string, unknown>) => options.layer as Record<string, unknown>;
  const wrong: [(options: Record<string, unknown>) => unknown, RegExp][] = [
    [(options) => Object.assign(options, { layer: 3 }), /layer must be an object/],
    [(options) => Object.assign(inner(options), { type: "bidirectional" }), /type must be one of lstm, gru, simpleRnn/],
    [(options) => void Reflect.deleteProperty(inner(options).options as object, "units"), /units must be an integer/],
    [(options) => void Reflect.deleteProperty(options, "mergeMode"), /the option mergeMode is missing/],
    [(options) => void Reflect.deleteProperty(options, "backwardLayer"), /the option backwardLayer is missing/],
    [(options) => Object.assign(inner(options).options as object, { units: 2 ** 40 }), /units|large/],
  ];
  for (const [change, message] of wrong) t.throws(changed(change), { instanceOf: FormatError, message });
});
