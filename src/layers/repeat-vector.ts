import { checkKeys, integerOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";

/** Options of {@link repeatVector}. */
export interface RepeatVectorOptions extends LayerOptions {
  /** Steps of the sequence, at least 1. */
  n: number;
}

/**
 * A vector as every step of a sequence: `[batch, features]` becomes `[batch, n, features]`, without a mask.
 *
 * @param options - How often.
 * @returns A layer for a float tensor of two axes whose last size is known. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.RepeatVector`
 */
export function repeatVector(options: RepeatVectorOptions): UnaryLayer {
  checkKeys("repeatVector", options, [...commonOptions, "n"]);
  const n = integerOption("repeatVector", "n", options.n, 1);
  return new Unary({ type: "repeatVector", common: options, options: { n } }) as unknown as UnaryLayer;
}
