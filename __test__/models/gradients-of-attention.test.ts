/** A model of everything that attends: each gradient of ours against automatic differentiation of plain operations. */
import test from "ava";
import * as addon from "../../index.js";
import { input, layers, type Model, model, ndarray, sgd } from "../../src/index.ts";
import { replaceAddon } from "../../src/native.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

const vocabulary = 11;
const width = 8;
const [rows, steps, written] = [4, 5, 4];

/** The addon with all models on candle, which has a gradient of its own for each plain operation. */
class CandleModel extends addon.NativeModel {
  constructor(...[document, layers]: ConstructorParameters<typeof addon.NativeModel>) {
    super(document, layers, "candle");
  }
}

const ids = (length: number) => input({ shape: [length], dtype: "int32" });

/** A table for words read, written and chosen; layers of both kinds, normalised before and after, with and without biases. */
function transformers(): Model {
  const [source, target] = [ids(steps), ids(written)];
  const table = layers.reversibleEmbedding({ inputDim: vocabulary, outputDim: width, maskZero: true, useBias: true });
  const common = { intermediateDim: 12, numHeads: 2, dropout: 0.1, attentionDropout: 0.2, activationDropout: 0.1 };
  const before = { ...common, normalizeFirst: true, activation: "gelu" } as const;
  const after = { ...common, keyDim: 3, useBias: false, activation: "silu" } as const;
  let memory = layers.positionalEncoding({ scale: true })(table(source));
  memory = layers.transformerEncoder(after)(layers.transformerEncoder(before)(memory));
  memory = layers.rmsNormalization()(memory);
  let x = layers.positionalEncoding({ type: "learned", maxLength: written })(table(target));
  x = layers.dropout({ rate: 0.1 })(x);
  x = layers.transformerDecoder(after)(layers.transformerDecoder(before)(x, memory), memory);
  x = layers.transformerDecoder(before)(layers.positionalEncoding({ interleaved: false, scale: 0.5 })(x));
  const scores = table(layers.layerNormalization()(x), { reverse: true });
  return model({ inputs: [source, target], outputs: layers.activation({ activation: "softmax" })(scores) });
}

/** Heads of all sizes, also in groups; causal; with a key of its own, a mask, a bias that is learnt, and scores to learn from. */
function heads(): Model {
  const [source, target] = [ids(steps), ids(written)];
  const attentionMask = input({ shape: [written, steps] });
  const table = layers.embedding({ inputDim: vocabulary, outputDim: width, maskZero: true });
  const [memory, query] = [table(source), table(target)];
  const key = layers.dense({ units: 5, activation: "tanh" })(memory);
  let x = layers.multiHeadAttention({ numHeads: 2, keyDim: 3, dropout: 0.2 })(query, query, { useCausalMask: true });
  const products = layers.dot({ axes: 2 })([layers.dense({ units: 5 })(query), key]);
  const attentionBias = layers.reshape({ targetShape: [1, written, steps] })(products);
  const wide = layers.multiHeadAttention({ numHeads: 5, keyDim: 3, valueDim: 2, outputShape: width });
  x = layers.add()([x, wide(x, memory, { key, attentionBias, attentionMask })]);
  const shown = layers.multiHeadAttention({ numHeads: 2, keyDim: 3, useBias: false });
  const [y, scores] = shown(x, memory, { returnAttentionScores: true });
  const grouped = layers.groupedQueryAttention({ headDim: 3, numQueryHeads: 4, numKeyValueHeads: 2, dropout: 0.1 });
  const seen = layers.reshape({ targetShape: [written, 2 * steps] })(layers.permute({ dims: [2, 1, 3] })(scores));
  x = layers.add()([y, grouped(y, y, { useCausalMask: true }), layers.dense({ units: width })(seen)]);
  const outputs = layers.dense({ units: vocabulary, activation: "softmax" })(x);
  return model({ inputs: [source, target, attentionMask], outputs });
}

/** Attention without projections, by products and by sums, with factors and a key of its own. */
function plain(): Model {
  const [source, target] = [ids(steps), ids(written)];
  const table = layers.embedding({ inputDim: vocabulary, outputDim: width, maskZero: true });
  const [memory, query] = [table(source), table(target)];
  const key = layers.dense({ units: width })(memory);
  const first = layers.attention({ useScale: true, dropout: 0.1 })([query, memory, key]);
  const second = layers.attention({ scoreMode: "concat", useScale: true })([query, query], { useCausalMask: true });
  const third = layers.additiveAttention({ dropout: 0.1 })([layers.add()([first, second]), memory, key]);
  const x = layers.add()([layers.additiveAttention({ useScale: false })([third, memory]), third, first]);
  const outputs = layers.dense({ units: vocabulary, activation: "softmax" })(x);
  return model({ inputs: [source, target], outputs });
}

/** Places as angles and as distances, in layers of Transformers and without; windows, caps and gates. */
function places(): Model {
  const [source, target] = [ids(steps), ids(written)];
  const table = layers.embedding({ inputDim: vocabulary, outputDim: width, maskZero: true });
  const [read, query] = [table(source), table(target)];
  const common = { intermediateDim: 12, numHeads: 2, dropout: 0.1, activation: "gelu" } as const;
  const both = layers.relativePositionBias({ numHeads: 2, buckets: 4, maxDistance: 4 })(source);
  let memory = layers.transformerEncoder({ ...common, rotary: "halves" })(read, { attentionBias: both });
  memory = layers.transformerEncoder({ ...common, normalizeFirst: true })(memory, { attentionBias: both });
  const before = layers.relativePositionBias({ numHeads: 2, buckets: 3, maxDistance: 3, bidirectional: false })(target);
  const slopes = layers.relativePositionBias({ numHeads: 2, type: "alibi" })(target);
  let x = layers.transformerDecoder({ ...common, rotary: "interleaved" })(query, memory, { attentionBias: before });
  x = layers.transformerDecoder(common)(x, { attentionBias: slopes });
  const near = { useCausalMask: true, attentionBias: before };
  const limited = { numHeads: 2, keyDim: 3, slidingWindow: 3, logitSoftCap: 1.5, useGate: true, dropout: 0.1 };
  const own = layers.multiHeadAttention({ ...limited, valueDim: 5, seed: 7 })(x, x, near);
  const shared = {
    headDim: 4,
    numQueryHeads: 4,
    numKeyValueHeads: 2,
    slidingWindow: 3,
    logitSoftCap: 2,
    useGate: true,
  };
  const [other, scores] = layers.groupedQueryAttention(shared)(own, memory, { returnAttentionScores: true });
  const seen = layers.reshape({ targetShape: [written, 4 * steps] })(layers.permute({ dims: [2, 1, 3] })(scores));
  const outputs = layers.dense({ units: vocabulary, activation: "softmax" });
  return model({
    inputs: [source, target],
    outputs: outputs(layers.add()([x, own, other, layers.dense({ units: width })(seen)])),
  });
}

/** Recurrent layers with every form of attention, of both cells, fed and not. */
function attentionRnns(): Model {
  const [source, target] = [ids(steps), ids(written)];
  const table = layers.embedding({ inputDim: vocabulary, outputDim: width, maskZero: true });
  const memory = table(source);
  const common = { units: width, returnSequences: true } as const;
  let x = layers.attentionRnn({ ...common, attention: "dot", inputFeeding: false, dropout: 0.1 })(
    table(target),
    memory,
  );
  const [general, ...states] = layers.attentionRnn({
    ...common,
    cell: "gru",
    returnState: true,
    dropout: 0.2,
    recurrentDropout: 0.1,
  })(x, memory);
  const concat = layers.attentionRnn({
    ...common,
    cell: "gru",
    resetAfter: false,
    attention: "concat",
    attentionUnits: 5,
  });
  x = layers.add()([general, concat(general, memory, { initialState: states })]);
  x = layers.attentionRnn({ ...common, attention: "bahdanau", attentionUnits: 4, dropout: 0.1, recurrentDropout: 0.2 })(
    x,
    memory,
  );
  x = layers.attentionRnn({ ...common, cell: "gru", attention: "bahdanau", useBias: false })(x, memory);
  return model({
    inputs: [source, target],
    outputs: layers.dense({ units: vocabulary, activation: "softmax" })(x),
  });
}

/** Ids of sequences that end in padding. */
function sequences(seed: number, lengths: number[], longest: number) {
  const ids = formulaIntegers(seed, rows * longest, 1, vocabulary);
  for (const [row, length] of lengths.entries()) ids.fill(0, row * longest + length, (row + 1) * longest);
  return ndarray(ids, [rows, longest]);
}

interface Step {
  loss: number;
  /** `layer/weight`, and the gradient. */
  gradients: Map<string, Float64Array>;
}

/** Plain descent by a large step: the differences of the weights are the gradients. */
async function step(define: () => Model, backend: "cpu" | "candle"): Promise<Step> {
  replaceAddon(backend === "cpu" ? addon : { ...addon, NativeModel: CandleModel });
  const rate = 2 ** 12;
  const network = define();
  try {
    network.compile({ optimizer: sgd({ learningRate: rate }), loss: "sparseCategoricalCrossentropy" });
    await network.build();
    const names = network.layers.flatMap((layer) => layer.weights.map(({ name }) => `${layer.name}/${name}`));
    const before = (await network.getWeights()).map(({ data, shape }, index) =>
      ndarray(formulaValues(7 + index, data.length, 1), [...shape]),
    );
    await network.setWeights(before);
    // Every query may see its first key at least.
    const allowed = formulaIntegers(6, rows * written * steps, 0, 3).map((value, at) => (at % steps === 0 ? 1 : value));
    const inputs = [
      sequences(3, [5, 2, 4, 1], steps),
      sequences(4, [3, 4, 1, 2], written),
      ndarray(Float32Array.from(allowed), [rows, written, steps]),
    ];
    const given = inputs.slice(0, network.inputSpecifications.length);
    const { loss } = await network.trainOnBatch(given, sequences(5, [3, 4, 1, 2], written));
    const after = await network.getWeights();
    const gradients = before.map(({ data }, weight) => {
      const moved = after[weight]!.data;
      return [names[weight]!, Float64Array.from(data, (value, at) => (value - moved[at]!) / rate)] as const;
    });
    return { loss, gradients: new Map(gradients) };
  } finally {
    network.dispose();
    replaceAddon(addon);
  }
}

const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

for (const define of [transformers, heads, plain, places, attentionRnns]) {
  test.serial(
    `${define.name}: every gradient is finite, not zero, and that of automatic differentiation`,
    async (t) => {
      const [ours, exact] = [await step(define, "cpu"), await step(define, "candle")];
      t.true(Math.abs(ours.loss - exact.loss) <= 1e-4 * exact.loss, `losses ${ours.loss}, ${exact.loss}`);
      t.deepEqual([...ours.gradients.keys()], [...exact.gradients.keys()]);
      // A gradient that is next to nothing beside the others has no digits of its own.
      const floor = 1e-3 * Math.max(...[...exact.gradients.values()].map(largest));
      for (const [name, gradient] of ours.gradients) {
        const expected = exact.gradients.get(name)!;
        // What all keys have in common a softmax does not see: this gradient is 0, but for rounding. Turned keys have nothing in
        // common any more, and capped scores do not all change by the same.
        const seen = define === places && !/(^transformerEncoder1|^transformerDecoder1|crossAttention)/.test(name);
        if (name.endsWith("/key/bias") && !seen) {
          const most = 1e-4 * largest(ours.gradients.get(name.replace("bias", "kernel"))!);
          t.true(largest(gradient) < most && largest(expected) < most, `${name}: ${largest(gradient)}`);
          continue;
        }
        const difference = Math.max(...gradient.map((value, at) => Math.abs(value - expected[at]!)));
        t.true(difference <= 1e-4 * Math.max(largest(expected), floor), `${name}: differs by ${difference}`);
        t.true(largest(gradient) > 1e-2 * floor, `${name}: ${largest(gradient)}`);
      }
    },
  );
}
