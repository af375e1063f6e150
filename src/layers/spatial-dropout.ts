import { checkKeys, numberOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import type { DropoutOptions } from "./dropout.ts";
import { commonOptions } from "./layer.ts";

/**
 * Dropout of whole features of a sequence: what becomes 0 does so at every step. Nothing happens outside training. The
 * features depend on the seed of `compile` and the step alone.
 *
 * @param options - The rate, a share of the features.
 * @returns A layer that keeps the shape of a float tensor `[batch, time, features]`. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.SpatialDropout1D`
 */
export function spatialDropout1d(options: DropoutOptions): UnaryLayer {
  checkKeys("spatialDropout1d", options, [...commonOptions, "rate"]);
  const rate = numberOption("spatialDropout1d", "rate", options.rate, 0, 1);
  return new Unary({ type: "spatialDropout1d", common: options, options: { rate } }) as unknown as UnaryLayer;
}
