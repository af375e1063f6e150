import { OptionError } from "../errors.ts";
import { checkKeys, numberOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";

/** Options of {@link masking}. */
export interface MaskingOptions extends LayerOptions {
  /** A position all of whose features have this value is masked; a finite number, default 0. */
  maskValue?: number;
}

/**
 * A mask from values: a position counts if any of its features differs from `maskValue`. What does not count becomes
 * zeros. A mask of the input is replaced.
 *
 * @param options - The value.
 * @returns A layer that keeps the shape of a float tensor `[batch, ..., features]`. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Masking`
 */
export function masking(options: MaskingOptions = {}): UnaryLayer {
  checkKeys("masking", options, [...commonOptions, "maskValue"]);
  const maskValue = numberOption("masking", "maskValue", options.maskValue ?? 0);
  if (!Number.isFinite(Math.fround(maskValue)))
    throw new OptionError(`masking: maskValue ${maskValue} is no 32-bit number`);
  return new Unary({ type: "masking", common: options, options: { maskValue } }) as unknown as UnaryLayer;
}
