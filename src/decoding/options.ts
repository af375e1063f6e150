import { booleanOption, checkKeys, checkSignal, integerOption } from "../options.ts";

/** Options of `generate`. */
export interface GenerateOptions {
  /** Most tokens of a translation, the end token included; at least 1, default 128. */
  maxNewTokens?: number;
  /** Texts that are decoded together, at least 1; default 32. The result does not depend on it. */
  batchSize?: number;
  /**
   * Computes the whole prefix anew for each token instead of going on from the last one: slow, for checks of the
   * incremental decoder; default `false`.
   */
  recompute?: boolean;
  /**
   * Whether each result says which tokens of the source each of its own looks at; default `false`. Of models whose decoder attends to
   * the source; the model runs once more over the whole result.
   */
  outputAttentions?: boolean;
  /** Stops between two tokens; the rejection is its reason. */
  signal?: AbortSignal;
}

/** What `generate` makes of a text. */
export interface Generation {
  /** The tokens as text. */
  text: string;
  /** The tokens, without begin and end. */
  tokens: string[];
  /** Sum of the natural logarithms of the tokens' probabilities, that of the end token included. */
  score: number;
  /**
   * With `outputAttentions`: for each of `tokens` the shares of the source's tokens (in the order and number in which the model reads
   * them, the end token included), from the decoder's last attention to the source, the mean over its heads.
   */
  attention?: Float32Array[];
}

/** Checked options, with defaults. */
export interface Decoding {
  readonly maxNewTokens: number;
  readonly batchSize: number;
  readonly recompute: boolean;
  readonly outputAttentions?: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of `generate`. */
export function checkGenerate(options: GenerateOptions): Decoding {
  checkKeys("generate", options, ["maxNewTokens", "batchSize", "recompute", "outputAttentions", "signal"]);
  checkSignal("generate", options.signal);
  return {
    maxNewTokens: integerOption("generate", "maxNewTokens", options.maxNewTokens ?? 128, 1),
    batchSize: integerOption("generate", "batchSize", options.batchSize ?? 32, 1),
    recompute: booleanOption("generate", "recompute", options.recompute ?? false),
    outputAttentions: booleanOption("generate", "outputAttentions", options.outputAttentions ?? false),
    signal: options.signal,
  };
}
