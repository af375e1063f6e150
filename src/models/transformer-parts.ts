import { Tokenizer } from "../data/tokenizer.ts";
import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { randomNormal } from "../initializers/rules.ts";
import type { ActivationName } from "../layers/activation-name.ts";
import { softCapOption } from "../layers/attention-limits.ts";
import { dropout } from "../layers/dropout.ts";
import { layerNormalization } from "../layers/layer-normalization.ts";
import { positionalEncoding } from "../layers/positional-encoding.ts";
import { type RelativePositionBiasOptions, relativePositionBias } from "../layers/relative-position-bias.ts";
import type { TransformerCallOptions, TransformerLayerOptions } from "../layers/transformer.ts";
import { booleanOption, integerOption, nameOption, numberOption } from "../options.ts";

/**
 * What stands for the places of tokens: sines beside their cosines, all sines before all cosines (Marian), a trained table, angles
 * by which queries and keys are turned, or what is added to the scores of attention for distances: trained numbers of buckets (T5), or
 * multiples that are fixed for each head (ALiBi).
 */
export type TransformerPositions = "sinusoidal" | "sinusoidalHalves" | "learned" | "rotary" | "buckets" | "alibi";

/** Options of all models of Transformer layers. */
export interface TransformerOptions {
  /** Features of each step, at least 1; default 256. */
  dModel?: number;
  /** Heads of each attention, which must divide `dModel`; default 4. */
  heads?: number;
  /** Features of the hidden layer of the network at each step, at least 1; default `4 * dModel`. */
  ffn?: number;
  /** Share of the embeddings, and of what each part adds, that becomes 0 in training; from 0 to below 1, default 0.1. */
  dropout?: number;
  /** Share of the weights of attention that become 0 in training; from 0 to below 1, default 0. */
  attentionDropout?: number;
  /** Share of the hidden layers that becomes 0 in training; from 0 to below 1, default 0. */
  activationDropout?: number;
  /** Activation of the hidden layers; default `"relu"`. */
  activation?: ActivationName;
  /**
   * Whether what goes into each part is normalised, with one more normalisation at the end; otherwise its sum with the residual
   * is, which needs a warm-up of the learning rate. Default `true`.
   */
  normalizeFirst?: boolean;
  /** Added to the variances of the normalisations, at least 0; default 1e-5. */
  layerNormEpsilon?: number;
  /**
   * What stands for the places of tokens; default `"sinusoidal"`. With `"buckets"` all layers of a side share one table for the distances
   * within it: of both directions in an encoder, of tokens before in a decoder; attention to the other side knows no places.
   */
  positions?: TransformerPositions;
  /** Buckets of distances, for `"buckets"` alone: at least 2, with an encoder an even number of at least 4. Default 32. */
  positionBuckets?: number;
  /** The distance from which on all fall into the last bucket, for `"buckets"` alone; default 128. */
  positionMaxDistance?: number;
  /**
   * How many tokens of its own side a token sees in either direction, itself included, at least 1; of a decoder its own and those before,
   * as in Mistral. A list is for one layer after the other, and again from its beginning: `[4096, null]` is a window in every other layer,
   * as in Gemma 2. Tokens of the other side are all seen. Default `null`: all.
   */
  slidingWindow?: number | null | readonly (number | null)[];
  /**
   * Between minus and plus which the scaled scores of all attention are brought, softly: `cap * tanh(score / cap)`, as in Gemma 2. A number
   * above 0; default `null`: scores are left as they are.
   */
  logitSoftCap?: number | null;
  /**
   * Whether what the heads of attention give is multiplied by the sigmoid of one more projection of its query (Qiu et al., 2025);
   * default `false`.
   */
  useGate?: boolean;
  /** Most tokens of a text; with `"learned"` positions default 512, otherwise no limit. */
  maxLength?: number;
  /** Whether the scores of tokens have a bias; default `true`. */
  outputBias?: boolean;
  /**
   * Whether training keeps of each layer only what comes in, and computes the rest a second time for the backward pass: less
   * memory for long texts, about a quarter more time, the same bits. Default `false`.
   */
  recompute?: boolean;
}

/** Names of {@link TransformerOptions}. */
export const transformerKeys: readonly (keyof TransformerOptions)[] = [
  "dModel",
  "heads",
  "ffn",
  "dropout",
  "attentionDropout",
  "activationDropout",
  "activation",
  "normalizeFirst",
  "layerNormEpsilon",
  "positions",
  "positionBuckets",
  "positionMaxDistance",
  "slidingWindow",
  "logitSoftCap",
  "useGate",
  "maxLength",
  "outputBias",
  "recompute",
];

const positionNames: readonly TransformerPositions[] = [
  "sinusoidal",
  "sinusoidalHalves",
  "learned",
  "rotary",
  "buckets",
  "alibi",
];

/** Checked options, with defaults. */
export interface CheckedTransformer {
  readonly dModel: number;
  readonly dropout: number;
  readonly normalizeFirst: boolean;
  readonly layerNormEpsilon: number;
  readonly positions: TransformerPositions;
  readonly maxLength: number | null;
  readonly outputBias: boolean;
  /** What is added for distances, if that stands for places. */
  readonly distances: Omit<RelativePositionBiasOptions, "name" | "bidirectional"> | null;
  /** Options of a layer of a side; the first is number 1. */
  readonly layer: (number: number) => Omit<TransformerLayerOptions, "name">;
}

/** Checks the options that all models of Transformer layers share. */
export function checkTransformer(where: string, options: TransformerOptions): CheckedTransformer {
  const dModel = integerOption(where, "dModel", options.dModel ?? 256, 1);
  const heads = integerOption(where, "heads", options.heads ?? 4, 1);
  if (dModel % heads !== 0) {
    throw new OptionError(`${where}: heads must divide dModel, got ${heads} heads for dModel ${dModel}`);
  }
  const share = rateOption(where, "dropout", options.dropout ?? 0.1);
  const positions = nameOption(where, "positions", options.positions ?? "sinusoidal", positionNames);
  if (positions === "rotary" && (dModel / heads) % 2 !== 0) {
    throw new OptionError(
      `${where}: positions "rotary" needs an even dModel / heads, got ${dModel} / ${heads}: take another number of heads`,
    );
  }
  const longest = options.maxLength ?? (positions === "learned" ? 512 : null);
  const normalizeFirst = booleanOption(where, "normalizeFirst", options.normalizeFirst ?? true);
  const layerNormEpsilon = numberOption(where, "layerNormEpsilon", options.layerNormEpsilon ?? 1e-5, 0);
  const windows = checkWindows(where, options.slidingWindow ?? null);
  const cap = options.logitSoftCap ?? null;
  const layer = {
    intermediateDim: integerOption(where, "ffn", options.ffn ?? 4 * dModel, 1),
    numHeads: heads,
    dropout: share,
    attentionDropout: rateOption(where, "attentionDropout", options.attentionDropout ?? 0),
    activationDropout: rateOption(where, "activationDropout", options.activationDropout ?? 0),
    activation: options.activation ?? "relu",
    layerNormEpsilon,
    normalizeFirst,
    rotary: positions === "rotary" ? "halves" : null,
    logitSoftCap: cap === null ? null : softCapOption(where, cap),
    useGate: booleanOption(where, "useGate", options.useGate ?? false),
    recompute: booleanOption(where, "recompute", options.recompute ?? false),
  } as const;
  return {
    dModel,
    dropout: share,
    normalizeFirst,
    layerNormEpsilon,
    positions,
    maxLength: longest === null ? null : integerOption(where, "maxLength", longest, 1),
    outputBias: booleanOption(where, "outputBias", options.outputBias ?? true),
    distances: checkDistances(where, options, positions, heads),
    layer: (number) => ({ ...layer, slidingWindow: windows[(number - 1) % windows.length] ?? null }),
  };
}

/** The window of each layer, after the last again from the first. */
function checkWindows(where: string, given: number | null | readonly (number | null)[]): readonly (number | null)[] {
  const one = (name: string, value: number | null) => (value === null ? null : integerOption(where, name, value, 1));
  if (typeof given === "number" || given === null) return [one("slidingWindow", given)];
  if (!Array.isArray(given) || given.length === 0) {
    throw new OptionError(
      `${where}: slidingWindow must be an integer, null or a list of these that is not empty, got ${JSON.stringify(given)}`,
    );
  }
  return given.map((value, place) => one(`slidingWindow[${place}]`, value));
}

function checkDistances(
  where: string,
  options: TransformerOptions,
  positions: TransformerPositions,
  numHeads: number,
): CheckedTransformer["distances"] {
  const { positionBuckets, positionMaxDistance } = options;
  if (positions === "buckets") {
    const buckets = integerOption(where, "positionBuckets", positionBuckets ?? 32, 2);
    const maxDistance = integerOption(where, "positionMaxDistance", positionMaxDistance ?? 128, 1);
    return { type: positions, numHeads, buckets, maxDistance };
  }
  for (const [name, value] of Object.entries({ positionBuckets, positionMaxDistance })) {
    if (value !== undefined) throw new OptionError(`${where}: ${name} is for positions "buckets", got "${positions}"`);
  }
  return positions === "alibi" ? { type: positions, numHeads } : null;
}

/** A share of something that is never all of it. */
export function rateOption(where: string, name: string, value: unknown): number {
  const checked = numberOption(where, name, value, 0, 1);
  if (checked === 1) throw new OptionError(`${where}: ${name} must be below 1, got 1`);
  return checked;
}

/** A tokenizer of an option. */
export function tokenizerOption(where: string, name: string, value: unknown): Tokenizer {
  if (!(value instanceof Tokenizer)) throw new OptionError(`${where}: ${name} must be a Tokenizer`);
  return value;
}

/** How tables of embeddings begin, and the scores of tokens: as in fairseq, so that scaled embeddings have the variance 1. */
export function embeddingStart(dModel: number): Initializer {
  return randomNormal({ stddev: dModel ** -0.5 });
}

/**
 * What the layers of a side share: options of their calls with what is added for distances, or none.
 *
 * @param ids - The tokens of the side. Only their number counts, and of ids nothing is computed at padding.
 */
export function distanceCall(
  side: string,
  ids: SymbolicTensor,
  checked: CheckedTransformer,
  bidirectional: boolean,
): TransformerCallOptions {
  const { distances } = checked;
  if (distances === null) return {};
  const bias = relativePositionBias({ ...distances, name: `${side}Distances`, bidirectional });
  return { attentionBias: bias(ids) };
}

/** Embeddings times the root of their width, with positions and dropout: what goes into the first layer of a side. */
export function positioned(side: string, embedded: SymbolicTensor, checked: CheckedTransformer): SymbolicTensor {
  const { positions, maxLength, dModel } = checked;
  const sum = positionalEncoding({
    name: `${side}Positions`,
    type: placed(positions),
    interleaved: positions !== "sinusoidalHalves",
    maxLength,
    scale: true,
    embeddingsInitializer: embeddingStart(dModel),
  })(embedded);
  return checked.dropout === 0 ? sum : dropout({ name: `${side}Dropout`, rate: checked.dropout })(sum);
}

/** What is added to embeddings. */
function placed(positions: TransformerPositions): "learned" | "none" | "sinusoidal" {
  if (positions === "learned") return "learned";
  return positions === "sinusoidal" || positions === "sinusoidalHalves" ? "sinusoidal" : "none";
}

/** The normalisation after the last layer of a side, where layers normalise what goes into them. */
export function finished(side: string, x: SymbolicTensor, checked: CheckedTransformer): SymbolicTensor {
  if (!checked.normalizeFirst) return x;
  return layerNormalization({ name: `${side}Normalization`, epsilon: checked.layerNormEpsilon })(x);
}
