import { booleanOption, checkKeys } from "../options.ts";
import { type AttentionLayer, dropoutRate, PlainAttention } from "./attention.ts";
import { seedOption } from "./attention-call.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";

/** Options of {@link additiveAttention}. */
export interface AdditiveAttentionOptions extends LayerOptions {
  /** Each feature has a trained factor; default `true`. */
  useScale?: boolean;
  /** Share of the scores that become 0 in training, from 0 to below 1; default 0. */
  dropout?: number;
  /** Seed of the layer's dropout, an integer of at least 0, as that of `multiHeadAttention`; default `null`: the seed of the model. */
  seed?: number | null;
}

/**
 * Attention as of Bahdanau, without projections: scores are the sums of `scale tanh(query + key)` over the features. Otherwise as
 * `attention`.
 *
 * @param options - Whether the features have factors.
 * @returns A layer from query `[batch, T, D]`, value `[batch, S, E]` and key `[batch, S, D]` to `[batch, T, E]`, with the weight `scale
 * [D]`. It throws `ShapeError` for tensors that do not fit.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.AdditiveAttention`
 */
export function additiveAttention(options: AdditiveAttentionOptions = {}): AttentionLayer {
  const type = "additiveAttention";
  checkKeys(type, options, [...commonOptions, "useScale", "dropout", "seed"]);
  return new PlainAttention({
    type,
    common: options,
    options: {
      useScale: booleanOption(type, "useScale", options.useScale ?? true),
      dropout: dropoutRate(type, options.dropout),
      ...seedOption(type, options.seed),
    },
  }) as unknown as AttentionLayer;
}
