import { join } from "node:path";
import { formulaValues } from "../__test__/helpers/formula-weights.ts";
import { fixedLength, type Place, sizeOf, write } from "./lstm-step-cases.ts";

/** The sizes of an encoder-decoder Transformer and how it is trained; the same words as in bench/peers/torch_transformer.py. */
export interface TransformerOptions {
  sourceVocabulary: number;
  targetVocabulary: number;
  /** Width of everything between embeddings and output. */
  dimension: number;
  heads: number;
  feedForward: number;
  encoderLayers: number;
  decoderLayers: number;
  /** Of embeddings and of what each part adds. */
  dropout: number;
  /** Of attention weights. */
  attentionDropout: number;
  /** Between the two layers of a feed-forward part. */
  innerDropout: number;
  /** Normalised before each part and at the end, instead of after each part. */
  normalizeFirst: boolean;
  /** Of layer normalisation. */
  epsilon: number;
  /** Sines and cosines take turns, instead of the first half being sines. */
  interleaved: boolean;
  /** One table for source, target and output, which then has no bias. */
  shared: boolean;
  /** `e` in `(1 - e) y + e / V`. */
  labelSmoothing: number;
  /** AdamW, or Adam if `weightDecay` is 0; with `warmup` the rate rises in as many steps, then falls with the inverse square root. */
  optimizer: {
    learningRate: number;
    warmup?: number;
    beta1: number;
    beta2: number;
    epsilon: number;
    weightDecay: number;
  };
}

/** What both sides train. */
export interface TransformerCase extends TransformerOptions {
  /** Whether id 0 is padding, which counts nowhere. */
  masked: boolean;
  /** The model's weights in its order, and what each is. */
  weightNames: string[];
  weights: Place[];
  weightsFile: string;
  /** Source, decoder and goal ids of each batch. */
  batches: Place[][];
  idsFile: string;
  /** Changes for the first losses, which are compared: no dropout. */
  check: Partial<TransformerOptions>;
}

/** No dropout at all. */
export const withoutDropout = { dropout: 0, attentionDropout: 0, innerDropout: 0 };

const stepOptions: TransformerOptions = {
  sourceVocabulary: 8000,
  targetVocabulary: 8000,
  dimension: 256,
  heads: 4,
  feedForward: 1024,
  encoderLayers: 3,
  decoderLayers: 3,
  dropout: 0.1,
  attentionDropout: 0.1,
  innerDropout: 0.1,
  normalizeFirst: true,
  epsilon: 1e-5,
  interleaved: false,
  shared: false,
  labelSmoothing: 0,
  optimizer: { learningRate: 1e-4, beta1: 0.9, beta2: 0.98, epsilon: 1e-9, weightDecay: 0.01 },
};

/** The cases of `transformer-step` by name: what differs from the usual model. */
const stepCases: Record<string, Partial<TransformerOptions>> = {
  V8000: {},
};

/** Names of the cases of `transformer-step`. */
export const transformerCaseNames = Object.keys(stepCases);

/** Writes the files of a case of `transformer-step` into a folder. */
export function writeTransformerCase(name: string, folder: string): TransformerCase {
  const options = { ...stepOptions, ...stepCases[name] };
  const idsFile = join(folder, `${name}.ids`);
  const places = write(idsFile, fixedLength(options.sourceVocabulary).flat());
  const batches = Array.from({ length: places.length / 3 }, (_, index) => places.slice(3 * index, 3 * index + 3));
  const written = writeTransformerWeights(options, join(folder, `${name}.weights`));
  return { ...options, masked: false, ...written, batches, idsFile, check: withoutDropout };
}

/** Initial weights by formula in a file: kernels as Glorot's rule spreads them, small biases. */
export function writeTransformerWeights(
  options: TransformerOptions,
  weightsFile: string,
): Pick<TransformerCase, "weightNames" | "weights" | "weightsFile"> {
  const shapes = weightShapes(options);
  const arrays = shapes.map(([name, shape], index) => ({ shape, data: initial(name, shape, index + 1) }));
  return { weightNames: shapes.map(([name]) => name), weights: write(weightsFile, arrays), weightsFile };
}

function initial(name: string, shape: number[], seed: number): Float32Array {
  const size = sizeOf(shape);
  if (name.endsWith("gamma")) return formulaValues(seed, size, 0.02).map((value) => 1 + value);
  if (name.endsWith("bias") || name.endsWith("beta")) return formulaValues(seed, size, 0.02);
  // Standard deviation of the embeddings: one over the root of the width, which they are multiplied with.
  if (name.endsWith("embeddings")) return formulaValues(seed, size, Math.sqrt(3 / shape[1]!));
  // Kernels of heads are [width, heads, size] and [heads, size, width].
  const inputs = name.endsWith("output/kernel") ? size / shape.at(-1)! : shape[0]!;
  return formulaValues(seed, size, Math.sqrt(6 / (inputs + size / inputs)));
}

/** Names and shapes of the weights in the order of the model of bench/measured/transformer.mjs. */
export function weightShapes(options: TransformerOptions): [string, number[]][] {
  const { sourceVocabulary, targetVocabulary, dimension, heads, feedForward, shared, normalizeFirst } = options;
  const size = dimension / heads;
  const dense = (name: string, inputs: number, outputs: number): [string, number[]][] => [
    [`${name}/kernel`, [inputs, outputs]],
    [`${name}/bias`, [outputs]],
  ];
  const norm = (name: string): [string, number[]][] => [
    [`${name}/gamma`, [dimension]],
    [`${name}/beta`, [dimension]],
  ];
  const attention = (name: string): [string, number[]][] => [
    ...["query", "key", "value"].flatMap((part): [string, number[]][] => [
      [`${name}/${part}/kernel`, [dimension, heads, size]],
      [`${name}/${part}/bias`, [heads, size]],
    ]),
    [`${name}/output/kernel`, [heads, size, dimension]],
    [`${name}/output/bias`, [dimension]],
  ];
  const feed = (name: string) => [
    ...dense(`${name}/first`, dimension, feedForward),
    ...dense(`${name}/second`, feedForward, dimension),
  ];
  // What is normalised first has its normalisation before it.
  const part = (weights: [string, number[]][], own: [string, number[]][]) =>
    normalizeFirst ? [...own, ...weights] : [...weights, ...own];
  const encoder = Array.from({ length: options.encoderLayers }, (_, index) => `encoder${index}`).flatMap((name) => [
    ...part(attention(`${name}/self`), norm(`${name}/norm0`)),
    ...part(feed(name), norm(`${name}/norm1`)),
  ]);
  const decoder = Array.from({ length: options.decoderLayers }, (_, index) => `decoder${index}`).flatMap((name) => [
    ...part(attention(`${name}/self`), norm(`${name}/norm0`)),
    ...part(attention(`${name}/cross`), norm(`${name}/norm1`)),
    ...part(feed(name), norm(`${name}/norm2`)),
  ]);
  const final = (side: string) => (normalizeFirst ? norm(`${side}/norm`) : []);
  return [
    ["source/embeddings", [sourceVocabulary, dimension]],
    ...encoder,
    ...final("encoder"),
    ...(shared ? [] : [["target/embeddings", [targetVocabulary, dimension]] as [string, number[]]]),
    ...decoder,
    ...final("decoder"),
    ...(shared ? [] : dense("output", dimension, targetVocabulary)),
  ];
}
