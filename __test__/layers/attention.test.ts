/** Attention layers as they are called: options, results, what is refused, and saved models. Numbers are compared with Keras elsewhere. */
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
  OptionError,
  ops,
  optimizers,
  ShapeError,
  type SymbolicTensor,
} from "../../src/index.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

const query = () => input({ shape: [null, 6], name: "query" });
const value = () => input({ shape: [null, 4], name: "value" });
const heads = { numHeads: 2, keyDim: 3 };

test("calls give an output, or an output and scores", (t) => {
  const layer = layers.multiHeadAttention({ ...heads, outputShape: 5 });
  const [q, v] = [query(), value()];
  const y: SymbolicTensor = layer(q, v);
  t.deepEqual(y.shape.at(-1), 5);
  const [output, scores] = layer(q, v, { returnAttentionScores: true, useCausalMask: true });
  t.deepEqual([output.shape.length, scores.shape.length, scores.shape[1]], [3, 4, 2]);
  t.deepEqual(
    layer.weights.map(({ name, shape }) => `${name} ${shape.join()}`),
    [
      "query/kernel 6,2,3",
      "query/bias 2,3",
      "key/kernel 4,2,3",
      "key/bias 2,3",
      "value/kernel 4,2,3",
      "value/bias 2,3",
      "attentionOutput/kernel 2,3,5",
      "attentionOutput/bias 5",
    ],
  );
  const [mixed, shares] = layers.attention({ scoreMode: "concat", useScale: true })([q, q], {
    returnAttentionScores: true,
  });
  t.deepEqual([mixed.shape.at(-1), shares.shape.length], [6, 3]);
  const additive: SymbolicTensor = layers.additiveAttention()([q, v, layers.dense({ units: 6 })(v)]);
  t.is(additive.shape.at(-1), 4);
  const some: boolean = Math.random() < 2;
  // @ts-expect-error it may be a list.
  const unknown: SymbolicTensor = layer(q, v, { returnAttentionScores: some });
  t.true(Array.isArray(unknown));
});

test("bad options and calls are refused by name", (t) => {
  const refused = (make: () => unknown, message: RegExp, type: new (message: string) => Error = OptionError) =>
    t.throws(make, { instanceOf: type, message });
  refused(
    () => layers.multiHeadAttention({ numHeads: 0, keyDim: 3 }),
    /multiHeadAttention: numHeads must be an integer/,
  );
  refused(() => layers.multiHeadAttention({ ...heads, dropout: 1 }), /dropout must be below 1/);
  refused(
    () => layers.multiHeadAttention({ ...heads, slidingWindow: 0 }),
    /slidingWindow must be an integer of at least 1/,
  );
  refused(() => layers.multiHeadAttention({ ...heads, logitSoftCap: 0 }), /logitSoftCap must be above 0/);
  refused(() => layers.multiHeadAttention({ ...heads, logitSoftCap: -1 }), /logitSoftCap must be a number/);
  refused(() => layers.attention({ seed: -1 }), /attention: seed must be an integer of at least 0/);
  refused(() => layers.multiHeadAttention({ ...heads, useGate: 1 as never }), /useGate must be true or false/);
  refused(() => layers.multiHeadAttention({ ...heads, attentionAxes: [] }), /attentionAxes must name 1 to 32 axes/);
  refused(() => layers.multiHeadAttention({ ...heads, attentionAxes: 0 }), /attentionAxes must be from 1 .* got 0/);
  refused(() => layers.multiHeadAttention({ ...heads, attentionAxes: [1.5] }), /attentionAxes must be an integer/);
  const uneven = { numQueryHeads: 4, numKeyValueHeads: 3, headDim: 2 };
  refused(() => layers.groupedQueryAttention(uneven), /multiple of numKeyValueHeads, got 4 and 3/);
  // @ts-expect-error no such mode.
  refused(() => layers.attention({ scoreMode: "cosine" }), /scoreMode must be one of dot, concat/);
  const [q, v] = [query(), value()];
  const layer = layers.multiHeadAttention({ ...heads, name: "own" });
  // @ts-expect-error the value is missing.
  refused(() => layer(q), /layer own: expected a query and a value/);
  // @ts-expect-error no such option.
  refused(() => layer(q, v, { causal: true }), /layer own: unknown option "causal"/);
  refused(() => layers.attention({ name: "plain" })([q]), /layer plain: expected a list of query, value/);
  // @ts-expect-error masks come with the tensors.
  refused(() => layers.attention({ name: "plain2" })([q, q], { attentionMask: q }), /unknown option "attentionMask"/);
  refused(() => layers.attention({ name: "narrow" })([q, v]), /layer narrow: .*query and key/, ShapeError);
  const square = input({ shape: [5, 4, 6], name: "square" });
  refused(() => layer(square, v), /layer own: expected the value to have the 4 axes of the query/, ShapeError);
  refused(() => layer(square, square, { useCausalMask: true }), /useCausalMask needs one axis/, ShapeError);
  const fixed = input({ shape: [5, 4], name: "fixed" });
  const mask = input({ shape: [3, 4], dtype: "int32", name: "mask" });
  refused(
    () => layer(fixed, fixed, { attentionMask: mask }),
    /layer own: expected attentionMask to have shape/,
    ShapeError,
  );
});

test("attention over an axis is by itself at each place of the others, also of a saved model", async (t) => {
  const [batch, rows, columns] = [2, 3, 4];
  const folder = await mkdtemp(join(tmpdir(), "sconce-axes-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const image = input({ shape: [null, columns, 6], name: "image" });
  const layer = layers.multiHeadAttention({ ...heads, attentionAxes: -2 });
  const [y, scores] = layer(image, image, { returnAttentionScores: true, useCausalMask: true });
  t.deepEqual(y.shape, [null, null, columns, 6]);
  t.deepEqual(scores.shape, [null, null, 2, columns, columns]);
  const across = layers.multiHeadAttention({ ...heads, attentionAxes: [2, 1] });
  const all = across(image, image, { returnAttentionScores: true })[1];
  t.deepEqual(all.shape, [null, 2, columns, null, columns, null]);
  const row = input({ shape: [columns, 6], name: "row" });
  await using whole = model({ inputs: image, outputs: y });
  // Along the only axis of a row -2 is time.
  await using single = model({ inputs: row, outputs: layer(row, row, { useCausalMask: true }) });
  await whole.build({ seed: 4 });
  const data = formulaValues(3, batch * rows * columns * 6, 1);
  const found = await whole.predict(ndarray(data, [batch, rows, columns, 6]));
  const expected = await single.predict(ndarray(data, [batch * rows, columns, 6]));
  t.deepEqual(found.shape, [batch, rows, columns, 6]);
  t.true(found.data.every((number, at) => Math.abs(number - expected.data[at]!) < 1e-6));
  await whole.save(join(folder, "model"));
  await using again = await loadModel(join(folder, "model"));
  t.deepEqual(await again.predict(ndarray(data, [batch, rows, columns, 6])), found);
});

test("a decoder whose attention is within rows of another batch is refused by name", async (t) => {
  const tokens = input({ shape: [null], dtype: "int32", name: "tokens" });
  const x = layers.embedding({ inputDim: 9, outputDim: 8 })(tokens);
  const apart = ops.expandDims(x, 2);
  const both = ops.concatenate([apart, ops.multiply(apart, 2)], 2);
  const own = (attentionAxes: number) =>
    layers.multiHeadAttention({ numHeads: 2, keyDim: 4, attentionAxes, name: `over${attentionAxes}` })(both, both, {
      useCausalMask: true,
    });
  for (const [axis, message] of [
    [1, /layer over1 cannot decode: it attends within rows of another batch/],
    [2, /layer over2 cannot decode: it mixes the steps/],
  ] as const) {
    const mixed = ops.mean(own(axis), { axis: 2 });
    await using made = model({ inputs: tokens, outputs: layers.dense({ units: 9, activation: "softmax" })(mixed) });
    const request = { decoderInput: 0, output: 0, beginId: 1, endId: [], padId: 0, maxNewTokens: 3, feed: "ids" };
    t.throws(() => made.handle().inspectDecoder(JSON.stringify(request)), { message });
  }
});

test("a gate has weights between those of keys and values, as in Keras", (t) => {
  const grouped = { numQueryHeads: 4, numKeyValueHeads: 2, headDim: 3, useBias: false, useGate: true };
  const named = (layer: { weights: readonly { name: string; shape: readonly number[] }[] }) =>
    layer.weights.map(({ name, shape }) => `${name} ${shape.join()}`);
  const layer = layers.multiHeadAttention({ ...heads, valueDim: 5, useBias: false, useGate: true });
  layer(query(), value());
  t.deepEqual(named(layer), [
    "query/kernel 6,2,3",
    "key/kernel 4,2,3",
    "gate/kernel 6,2,5",
    "value/kernel 4,2,5",
    "attentionOutput/kernel 2,5,6",
  ]);
  const few = layers.groupedQueryAttention(grouped);
  few(query(), value());
  t.deepEqual(named(few)[2], "gate/kernel 6,4,3");
});

test("dropout with a seed of its own depends on no other layer and not on the model's seed", async (t) => {
  /** The loss of a step of a model, with other layers before or not. */
  const loss = async (seed: number | null, modelSeed: number, more: boolean): Promise<number> => {
    let x = input({ shape: [7, 6], name: "query" });
    const given = x;
    if (more) x = layers.dropout({ rate: 0 })(layers.activation({ activation: "linear" })(x));
    const y = layers.multiHeadAttention({ ...heads, dropout: 0.5, seed })(x, x);
    await using tested = model({ inputs: given, outputs: y });
    tested.compile({ optimizer: "sgd", loss: "meanSquaredError", seed: modelSeed });
    await tested.build();
    const start = await tested.getWeights();
    await tested.setWeights(start.map(({ data, shape }, at) => ({ data: formulaValues(at, data.length, 0.7), shape })));
    const data = ndarray(formulaValues(9, 2 * 7 * 6, 1), [2, 7, 6]);
    const result = await tested.trainOnBatch(data, ndarray(formulaValues(8, 2 * 7 * 6, 1), [2, 7, 6]));
    return result.loss;
  };
  const own = await loss(5, 1, false);
  t.is(await loss(5, 2, true), own);
  t.not(await loss(6, 1, false), own);
  t.not(await loss(null, 1, false), await loss(null, 2, false));
});

test("decoders go on with windows, caps and gates", async (t) => {
  const [source, target] = [0, 1].map((side) => input({ shape: [null], dtype: "int32", name: `side${side}` }));
  const words = layers.embedding({ inputDim: 9, outputDim: 8, maskZero: true });
  const [x, z] = [words(source!), words(target!)];
  const limited = { slidingWindow: 3, logitSoftCap: 0.8, useGate: true } as const;
  const own = layers.multiHeadAttention({ numHeads: 2, keyDim: 4, ...limited })(z, z, { useCausalMask: true });
  const grouped = layers.groupedQueryAttention({ numQueryHeads: 4, numKeyValueHeads: 2, headDim: 3, ...limited });
  const other = grouped(own, x);
  const probabilities = layers.dense({ units: 9, activation: "softmax" })(layers.add()([own, other]));
  await using made = model({ inputs: [source!, target!], outputs: probabilities });
  await made.build({ seed: 3 });
  const request = { decoderInput: 1, output: 0, beginId: 1, endId: [], padId: 0, maxNewTokens: 9, feed: "ids" };
  const given = { data: Int32Array.from([3, 4, 5, 6, 7, 2, 6, 7, 0, 0]), shape: [2, 5] };
  const run = (recompute: boolean) =>
    made.handle().generate(JSON.stringify({ ...request, recompute }), [given], new AbortController().signal);
  const [stepped, whole] = [await run(false), await run(true)];
  t.deepEqual(stepped.ids, whole.ids);
  t.true(stepped.scores.every((score, row) => Math.abs(score - whole.scores[row]!) < 1e-4));
});

/** Every layer at once: masks of ids, a mask and a bias of pairs, scores. */
function all() {
  const [source, target] = [0, 1].map((side) => input({ shape: [null], dtype: "int32", name: `ids${side}` }));
  const words = layers.embedding({ inputDim: 9, outputDim: 6, maskZero: true });
  const [x, z] = [words(source!), words(target!)];
  const own = layers.multiHeadAttention({ ...heads, dropout: 0.2 })(z, z, { useCausalMask: true });
  const pairs = ops.matmul(z, ops.transpose(x, [0, 2, 1]));
  const [other, scores] = layers.multiHeadAttention(heads)(own, x, {
    attentionMask: ops.greater(pairs, -1),
    attentionBias: ops.expandDims(pairs, 1),
    returnAttentionScores: true,
  });
  const few = layers.groupedQueryAttention({ numQueryHeads: 4, numKeyValueHeads: 2, headDim: 3 })(other, x, { key: x });
  const mixed = layers.attention({ useScale: true, scoreMode: "concat" })([few, x]);
  const last = layers.additiveAttention()([layers.add()([mixed, layers.attention({ useScale: true })([few, x])]), x]);
  const sum = layers.add()([own, other, few, last]);
  const classes = layers.dense({ units: 4, activation: "softmax" })(sum);
  return model({ inputs: [source!, target!], outputs: [classes, ops.mean(scores, { axis: 3 })] });
}

const ids = (seed: number, steps: number) => {
  const data = formulaIntegers(seed, 3 * steps, 1, 9);
  data[steps - 1] = 0;
  data[steps] = 0;
  return ndarray(data, [3, steps]);
};

test("every weight learns, and a saved model gives the same", async (t) => {
  await using tested = all();
  tested.compile({
    optimizer: optimizers.sgd({ learningRate: 0.5 }),
    loss: ["sparseCategoricalCrossentropy", "meanSquaredError"],
    seed: 3,
  });
  await tested.build();
  const start = await tested.getWeights();
  await tested.setWeights(
    start.map(({ data, shape }, seed) => ({ data: formulaValues(seed, data.length, 0.7), shape })),
  );
  const before = await tested.getWeights();
  const batch = [ids(1, 5), ids(2, 4)];
  await tested.trainOnBatch(batch, [
    ndarray(formulaIntegers(5, 12, 0, 4), [3, 4]),
    ndarray(formulaValues(6, 24, 1), [3, 2, 4]),
  ]);
  const after = await tested.getWeights();
  const names = tested.layers.flatMap((layer) => layer.weights.map(({ name }) => `${layer.name}/${name}`));
  for (const [index, name] of names.entries()) {
    const moved = before[index]!.data.some((number, at) => Math.abs(number - after[index]!.data[at]!) > 1e-7);
    // It adds the same to all scores of a query.
    if (!name.endsWith("key/bias")) t.true(moved, `${name} did not change`);
    t.true(after[index]!.data.every(Number.isFinite), name);
  }
  const folder = await mkdtemp(join(tmpdir(), "sconce-attention-"));
  try {
    await tested.save(join(folder, "model"));
    await using loaded = await loadModel(join(folder, "model"));
    t.deepEqual(await loaded.predict(batch), await tested.predict(batch));
  } finally {
    await rm(folder, { recursive: true });
  }
});
