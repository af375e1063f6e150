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
  /** Share of the embeddings and of what each part adds that becomes 0. */
  dropout: number;
  /** The same of attention weights. */
  attentionDropout: number;
  /** The same of hidden layers. */
  activationDropout: number;
  /** Normalised before each part and at the end, instead of after each part. */
  normalizeFirst: boolean;
  /** Of layer normalisation. */
  epsilon: number;
  /** Sines and cosines take turns, instead of the first half being sines. */
  interleaved: boolean;
  /** The table of the target also scores the next words, without bias. */
  tied: boolean;
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

/** The name of a case that is trained in bfloat16. */
export function isRounded(name: string): boolean {
  return name.endsWith("-bfloat16");
}

/** What both sides train. */
export interface TransformerCase extends TransformerOptions {
  /** Whether id 0 is padding, which counts nowhere. */
  masked: boolean;
  /** Layer and weight, as `encoder0/selfAttention/query/kernel`, of each of `weights`. */
  weightNames: string[];
  weights: Place[];
  weightsFile: string;
  /** Source, decoder and goal ids of each batch. */
  batches: Place[][];
  idsFile: string;
  /** How far the first losses may differ; default 1e-4. */
  tolerance?: number;
  /** Changes for the first losses, which are compared: no dropout. */
  check: Partial<TransformerOptions>;
}

/** No dropout at all. */
export const withoutDropout = { dropout: 0, attentionDropout: 0, activationDropout: 0 };

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
  activationDropout: 0.1,
  normalizeFirst: true,
  epsilon: 1e-5,
  interleaved: true,
  tied: false,
  labelSmoothing: 0,
  optimizer: { learningRate: 1e-4, beta1: 0.9, beta2: 0.98, epsilon: 1e-9, weightDecay: 0.01 },
};

/** The cases of `transformer-step` by name: what differs from the usual model. */
const stepCases: Record<string, Partial<TransformerOptions>> = {
  // Dropout in all places where nn.Transformer has it.
  V8000: {},
  // As in the presets, where attention has none: then PyTorch has a fused kernel for it.
  "V8000-residual": { attentionDropout: 0, activationDropout: 0 },
  // Mixed precision on both sides.
  "V8000-bfloat16": {},
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
  // Both sides round, but not the same values: a tenth of a percent of the first loss.
  const tolerance = isRounded(name) ? { tolerance: 0.01 } : {};
  return { ...options, masked: false, ...written, batches, idsFile, check: withoutDropout, ...tolerance };
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
  const [rows, columns] = shape as [number, number];
  // Standard deviation of the embeddings: one over the root of the width, which they are multiplied with.
  const limit = name.endsWith("embeddings") ? Math.sqrt(3 / columns) : Math.sqrt(6 / (rows + columns));
  return formulaValues(seed, size, limit);
}

type Named = [name: string, shape: number[]];

/** Names and shapes of the weights of the model of bench/measured/transformer.mjs, in Keras' layouts. */
export function weightShapes(options: TransformerOptions): Named[] {
  const { sourceVocabulary, targetVocabulary, dimension, feedForward, tied, normalizeFirst } = options;
  const dense = (name: string, inputs: number, outputs: number): Named[] => [
    [`${name}/kernel`, [inputs, outputs]],
    [`${name}/bias`, [outputs]],
  ];
  const norm = (name: string): Named[] => [
    [`${name}/gamma`, [dimension]],
    [`${name}/beta`, [dimension]],
  ];
  const attention = (name: string): Named[] => [
    ...["query", "key", "value", "attentionOutput"].flatMap((part) => dense(`${name}/${part}`, dimension, dimension)),
    ...norm(`${name}LayerNorm`),
  ];
  const feed = (name: string): Named[] => [
    ...dense(`${name}/feedforwardIntermediateDense`, dimension, feedForward),
    ...dense(`${name}/feedforwardOutputDense`, feedForward, dimension),
    ...norm(`${name}/feedforwardLayerNorm`),
  ];
  const side = (name: string, count: number, kinds: string[]): Named[] => [
    ...Array.from({ length: count }, (_, index) => `${name}${index}`).flatMap((layer) => [
      ...kinds.flatMap((kind) => attention(`${layer}/${kind}`)),
      ...feed(layer),
    ]),
    ...(normalizeFirst ? norm(`${name}Norm`) : []),
  ];
  return [
    ["source/embeddings", [sourceVocabulary, dimension]],
    ["target/embeddings", [targetVocabulary, dimension]],
    ...side("encoder", options.encoderLayers, ["selfAttention"]),
    ...side("decoder", options.decoderLayers, ["selfAttention", "crossAttention"]),
    ...(tied ? [] : dense("output", dimension, targetVocabulary)),
  ];
}
