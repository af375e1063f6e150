import { checkKeys, numberOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";

/** Options of {@link dropout}. */
export interface DropoutOptions extends LayerOptions {
  /** Share of the elements that become 0 in training, from 0 to 1, to the nearest 2^-16; the others are divided by `1 - rate`. */
  rate: number;
}

/**
 * Zeros at random while training; nothing otherwise. The elements depend on the seed of `compile` and the step alone.
 *
 * @param options - The rate.
 * @returns A layer that keeps the shape of its input.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Dropout`
 */
export function dropout(options: DropoutOptions): UnaryLayer {
  checkKeys("dropout", options, [...commonOptions, "rate"]);
  const rate = numberOption("dropout", "rate", options.rate, 0, 1);
  return new Unary({ type: "dropout", common: options, options: { rate } }) as unknown as UnaryLayer;
}
