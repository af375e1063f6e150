/** Positions, normalisation by the root mean square, tables that are used both ways. Numbers are those of keras-layers.test.ts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { DataError, input, layers, loadModel, model, ndarray, OptionError, ShapeError } from "../../src/index.ts";

const sequence = () => input({ shape: [null, 4] });
const words = () => input({ shape: [null], dtype: "int32" });

test("weights have the names and shapes of Keras", (t) => {
  const named = (layer: { weights: readonly { name: string; shape: readonly number[] }[] }) =>
    Object.fromEntries(layer.weights.map(({ name, shape }) => [name, [...shape]]));
  const norm = layers.rmsNormalization();
  t.deepEqual(norm(sequence()).shape, [null, null, 4]);
  t.deepEqual(named(norm), { scale: [4] });
  const waves = layers.positionalEncoding();
  waves(sequence());
  t.deepEqual(named(waves), {});
  const learned = layers.positionalEncoding({ type: "learned", maxLength: 9 });
  learned(sequence());
  t.deepEqual(named(learned), { embeddings: [9, 4] });
  const table = layers.reversibleEmbedding({ inputDim: 7, outputDim: 4, maskZero: true });
  const scores = table(table(words()), { reverse: true });
  t.deepEqual(scores.shape, [null, null, 7]);
  t.true(scores.masked);
  t.deepEqual(named(table), { embeddings: [7, 4] });
  t.is(table.countParams(), 28);
  const two = layers.reversibleEmbedding({ inputDim: 7, outputDim: 4, tieWeights: false, useBias: true });
  two(sequence(), { reverse: true });
  t.deepEqual(named(two), { embeddings: [7, 4], reverseEmbeddings: [4, 7], reverseBias: [7] });
});

test("a model with them is saved and loaded, and a table that is used twice is counted once", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-parts-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const ids = words();
  const table = layers.reversibleEmbedding({ inputDim: 7, outputDim: 4, maskZero: true, useBias: true });
  const placed = layers.positionalEncoding({ type: "learned", maxLength: 5, scale: true })(table(ids));
  const waves = layers.positionalEncoding({ interleaved: false, scale: 0.5 })(placed);
  const scores = table(layers.rmsNormalization()(waves), { reverse: true });
  await using made = model({ inputs: ids, outputs: layers.softmax()(scores) });
  await made.build({ seed: 3 });
  t.is(made.countParams(), 7 * 4 + 7 + 5 * 4 + 4);
  const data = ndarray(Int32Array.from([1, 2, 3, 4, 5, 0]), [2, 3]);
  const before = await made.predict(data);
  await made.save(join(folder, "model"));
  await using again = await loadModel(join(folder, "model"));
  const after = await again.predict(data);
  t.deepEqual(after, before);
  await t.throwsAsync(made.predict(ndarray(new Int32Array(12).fill(1), [2, 6])), {
    instanceOf: DataError,
    message: /layer positionalEncoding: expected sequences of at most 5 steps \(maxLength\), got 6/,
  });
});

test("a bias by distance is for the scores of attention, and decoders count on with it", async (t) => {
  const bias = layers.relativePositionBias({ numHeads: 2, buckets: 8, maxDistance: 6, bidirectional: false });
  const target = words();
  const source = words();
  const embed = () => layers.embedding({ inputDim: 9, outputDim: 8, maskZero: true });
  const [x, memory] = [embed()(target), embed()(source)];
  t.deepEqual(bias(x).shape, [1, 2, null, null]);
  const own = layers.multiHeadAttention({ numHeads: 2, keyDim: 4 })(x, x, {
    useCausalMask: true,
    attentionBias: bias(x),
  });
  const slopes = layers.relativePositionBias({ numHeads: 2, type: "alibi" });
  const other = layers.multiHeadAttention({ numHeads: 2, keyDim: 4 })(own, memory, {
    attentionBias: slopes(own, memory),
  });
  t.deepEqual(
    bias.weights.map(({ name, shape }) => [name, ...shape]),
    [["embeddings", 8, 2]],
  );
  t.is(slopes.countParams(), 0);
  const probabilities = layers.dense({ units: 9, activation: "softmax" })(layers.add()([own, other]));
  await using made = model({ inputs: [source, target], outputs: probabilities });
  await made.build({ seed: 3 });
  const request = { decoderInput: 1, output: 0, beginId: 1, endId: [], padId: 0, maxNewTokens: 7, feed: "ids" };
  const given = { data: Int32Array.from([3, 4, 5, 6, 7, 0]), shape: [2, 3] };
  const run = (recompute: boolean) =>
    made.handle().generate(JSON.stringify({ ...request, recompute }), [given], new AbortController().signal);
  const [stepped, whole] = [await run(false), await run(true)];
  t.deepEqual(stepped.ids, whole.ids);
  t.true(stepped.scores.every((score, row) => Math.abs(score - whole.scores[row]!) < 1e-4));
});

test("wrong options and calls are errors that say what was expected", (t) => {
  const wrong: [call: () => unknown, message: RegExp][] = [
    [() => layers.positionalEncoding({ type: "learned" }), /type "learned" needs maxLength/],
    [
      () => layers.positionalEncoding({ type: "cosines" as "learned" }),
      /type must be one of sinusoidal, learned, none/,
    ],
    [() => layers.positionalEncoding({ maxLength: 0 }), /maxLength must be an integer of at least 1/],
    [() => layers.positionalEncoding({ maxWavelength: 0.5 }), /maxWavelength must be a number of at least 1/],
    [() => layers.positionalEncoding({ scale: Number.NaN }), /scale must be a finite number/],
    [() => layers.positionalEncoding({ scales: 1 } as object), /unknown option "scales"/],
    [() => layers.relativePositionBias({ numHeads: 0 }), /numHeads must be an integer of at least 1/],
    [() => layers.relativePositionBias({ numHeads: 1, buckets: 5 }), /buckets must be an even number/],
    [
      () => layers.relativePositionBias({ numHeads: 1, maxDistance: 8 }),
      /maxDistance must be an integer of at least 9/,
    ],
    [() => layers.rmsNormalization({ epsilon: -1 }), /epsilon must be a number of at least 0/],
    [() => layers.rmsNormalization({ axis: [] }), /axis/],
    [() => layers.reversibleEmbedding({ inputDim: 0, outputDim: 1 }), /inputDim must be an integer of at least 1/],
    [
      () => layers.reversibleEmbedding({ inputDim: 1, outputDim: 1, tieWeights: 1 as never }),
      /tieWeights must be true or false/,
    ],
    [
      () => layers.reversibleEmbedding({ inputDim: 3, outputDim: 4 })(sequence()),
      /ids of int32 without reverse: true, got float32/,
    ],
    [
      () => layers.reversibleEmbedding({ inputDim: 3, outputDim: 4 })(words(), { reverse: true }),
      /vectors of float32 with reverse: true, got int32/,
    ],
  ];
  for (const [call, message] of wrong) t.throws(call, { instanceOf: OptionError, message });
  const shapes: [call: () => unknown, message: RegExp][] = [
    [() => layers.positionalEncoding()(input({ shape: [4] })), /expected a sequence \[batch, time, features\]/],
    [
      () => layers.positionalEncoding({ maxLength: 3 })(input({ shape: [4, 2] })),
      /at most 3 steps \(maxLength\), got 4/,
    ],
    [() => layers.rmsNormalization()(input({ shape: [null] })), /to be known/],
    [
      () => layers.reversibleEmbedding({ inputDim: 3, outputDim: 5 })(sequence(), { reverse: true }),
      /vectors of 5 elements \(outputDim\)/,
    ],
  ];
  for (const [call, message] of shapes) t.throws(call, { instanceOf: ShapeError, message });
});
