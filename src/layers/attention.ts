import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { booleanOption, checkKeys, nameOption, numberOption } from "../options.ts";
import {
  type AttentionCallOptions,
  type AttentionOutputs,
  attentionCall,
  noMore,
  seedOption,
} from "./attention-call.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";

/** How an attention compares queries and keys. */
export type ScoreMode = "dot" | "concat";

/** Options of {@link attention}. */
export interface AttentionOptions extends LayerOptions {
  /** The scores have a trained factor, which begins at 1; default `false`. */
  useScale?: boolean;
  /**
   * `"dot"`: by their product; `"concat"`: by the sum of `tanh(query + key)` over the features, times a trained number that begins
   * at 1. Default `"dot"`.
   */
  scoreMode?: ScoreMode;
  /** Share of the scores that become 0 in training, from 0 to below 1; default 0. */
  dropout?: number;
  /** Seed of the layer's dropout, an integer of at least 0, as that of `multiHeadAttention`; default `null`: the seed of the model. */
  seed?: number | null;
}

/** An attention layer without projections: it is called with a list of query, value and, if it is another tensor, key. */
export interface AttentionLayer extends Layer {
  /**
   * @param inputs - Query `[batch, T, D]`, value `[batch, S, E]`, key `[batch, S, D]`, by default the value.
   * @param options - That the scores are wanted.
   * @returns The output, `[batch, T, E]`, and the scores, `[batch, T, S]`.
   */
  (
    inputs: readonly SymbolicTensor[],
    options: AttentionCallOptions & { returnAttentionScores: true },
  ): AttentionOutputs;
  /**
   * @param inputs - Query `[batch, T, D]`, value `[batch, S, E]`, key `[batch, S, D]`, by default the value.
   * @param options - Whether it is causal.
   * @returns `[batch, T, E]`
   */
  (
    inputs: readonly SymbolicTensor[],
    options?: AttentionCallOptions & { returnAttentionScores?: false },
  ): SymbolicTensor;
  /**
   * @param inputs - Query `[batch, T, D]`, value `[batch, S, E]`, key `[batch, S, D]`, by default the value.
   * @param options - Whether it is causal, and whether the scores are wanted.
   * @returns The output, or the output and the scores.
   */
  (inputs: readonly SymbolicTensor[], options: AttentionCallOptions): SymbolicTensor | AttentionOutputs;
}

/** An attention without projections. @internal */
export class PlainAttention extends Layer {
  call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
    const [list, options = {}, ...more] = inputs;
    const where = `layer ${this.name}`;
    if (!Array.isArray(list) || list.length < 2 || list.length > 3) {
      throw new OptionError(`${where}: expected a list of query, value and, if it is another tensor, key`);
    }
    noMore(where, "a list of tensors and options", more);
    checkKeys(where, options, ["useCausalMask", "returnAttentionScores"]);
    const [query, value, key] = list as unknown[];
    const given = list.length === 3 ? { ...(options as object), key } : options;
    const { inputs: tensors, call, scores } = attentionCall(where, query, value, given, ["key"]);
    const outputs = this.apply(tensors, call);
    return scores ? [...outputs] : outputs[0]!;
  }
}

/** A rate of dropout. @internal */
export function dropoutRate(type: string, value: number | undefined): number {
  const rate = numberOption(type, "dropout", value ?? 0, 0, 1);
  if (rate === 1) throw new OptionError(`${type}: dropout must be below 1, got 1`);
  return rate;
}

/**
 * Attention without projections: each query averages the values by the softmax of its scores with the keys.
 *
 * A key counts where the mask of the value says so. A query that sees no key averages all values; masked queries give zeros, and the
 * output has the mask of the query.
 *
 * @param options - How queries and keys are compared.
 * @returns A layer from query `[batch, T, D]`, value `[batch, S, E]` and key `[batch, S, D]` to `[batch, T, E]`, with weights `scale`
 * and, with `"concat"`, `concatScoreWeight`, both single numbers. It throws `ShapeError` for tensors that do not fit.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Attention`
 */
export function attention(options: AttentionOptions = {}): AttentionLayer {
  const type = "attention";
  checkKeys(type, options, [...commonOptions, "useScale", "scoreMode", "dropout", "seed"]);
  return new PlainAttention({
    type,
    common: options,
    options: {
      useScale: booleanOption(type, "useScale", options.useScale ?? false),
      scoreMode: nameOption<ScoreMode>(type, "scoreMode", options.scoreMode ?? "dot", ["dot", "concat"]),
      dropout: dropoutRate(type, options.dropout),
      ...seedOption(type, options.seed),
    },
  }) as unknown as AttentionLayer;
}
