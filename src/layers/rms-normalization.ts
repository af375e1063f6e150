import { OptionError } from "../errors.ts";
import { checkKeys, numberOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { axesOption } from "./axes-option.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";

/** Options of {@link rmsNormalization}. */
export interface RmsNormalizationOptions extends LayerOptions {
  /** Axis, or axes, over which the mean of squares is taken; negative counts from the end; not the batch. Default -1. */
  axis?: number | readonly number[];
  /** Added to the mean of squares, at least 0; default 1e-6. */
  epsilon?: number;
}

/**
 * Divides each sample, by default each position by itself, by its root mean square:
 * `y = scale x / sqrt(mean(x^2) + epsilon)`. It passes on the mask of its input; masked positions are normalised like others.
 *
 * @param options - Axes and epsilon.
 * @returns A layer that keeps the shape of a float tensor, with the weight `scale`, which begins as ones and has the sizes
 * of the axes. It throws `ShapeError` if such a size is not known.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.RMSNormalization`
 */
export function rmsNormalization(options: RmsNormalizationOptions = {}): UnaryLayer {
  const where = "rmsNormalization";
  checkKeys(where, options, [...commonOptions, "axis", "epsilon"]);
  const epsilon = numberOption(where, "epsilon", options.epsilon ?? 1e-6, 0);
  if (!Number.isFinite(Math.fround(epsilon))) throw new OptionError(`${where}: epsilon ${epsilon} is no 32-bit number`);
  return new Unary({
    type: where,
    common: options,
    options: { axis: axesOption(where, options.axis ?? -1), epsilon },
  }) as unknown as UnaryLayer;
}
