import { OptionError } from "../errors.ts";
import { booleanOption, checkKeys, integerOption } from "../options.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";
import { Merge, type MergeLayer } from "./merge.ts";

/** Options of {@link dot}. */
export interface DotOptions extends LayerOptions {
  /** The axis of each tensor along which products are summed; one number for both. Negative counts from the end; not the batch. */
  axes: number | readonly [number, number];
  /** Whether vectors along the axis are brought to length 1 first, which gives cosines. Default `false`. */
  normalize?: boolean;
}

/**
 * Products along an axis of two tensors: the axis goes, the other axes of the first and then of the second stay. Two
 * vectors give `[batch, 1]`. The result has no mask.
 *
 * @param options - The axes.
 * @returns A layer for a list of two float tensors that have one size along their axes. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Dot`
 */
export function dot(options: DotOptions): MergeLayer {
  checkKeys("dot", options, [...commonOptions, "axes", "normalize"]);
  const given: readonly unknown[] = Array.isArray(options.axes) ? options.axes : [options.axes, options.axes];
  if (given.length !== 2) throw new OptionError(`dot: axes must be one axis or two, got ${given.length}`);
  const axes = given.map((axis) => integerOption("dot", "axes", axis, -32));
  if (axes.includes(0)) throw new OptionError("dot: axes cannot be the batch (axis 0)");
  const normalize = booleanOption("dot", "normalize", options.normalize ?? false);
  return new Merge({ type: "dot", common: options, options: { axes, normalize } }) as unknown as MergeLayer;
}
