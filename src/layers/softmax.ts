import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { checkKeys } from "../options.ts";
import { axesOption } from "./axes-option.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";

/** Options of {@link softmax}. */
export interface SoftmaxOptions extends LayerOptions {
  /** Axis, or axes, over which the output sums up to 1; negative counts from the end; not the batch. Default -1. */
  axis?: number | readonly number[];
}

/** Options of a call of {@link softmax}. */
export interface SoftmaxCallOptions {
  /**
   * Which elements take part: those where it is above 0.5. Float or ids, its last axes 1 or equal to those of the input.
   * The others are 0 in the output. Default all.
   */
  mask?: SymbolicTensor;
}

/** A softmax layer. */
export interface SoftmaxLayer extends Layer {
  /**
   * @param x - `[batch, ...]`
   * @param options - A mask.
   */
  (x: SymbolicTensor, options?: SoftmaxCallOptions): SymbolicTensor;
}

class Softmax extends Layer {
  call(...inputs: unknown[]): SymbolicTensor {
    const [x, options = {}, ...more] = inputs;
    const where = `layer ${this.name}`;
    if (more.length > 0)
      throw new OptionError(`${where}: expected a tensor and options, got ${inputs.length} arguments`);
    checkKeys(where, options, ["mask"]);
    const { mask } = options as { mask?: unknown };
    return this.apply(mask === undefined ? [x] : [x, mask])[0]!;
  }
}

/**
 * Softmax over axes, of all elements or of those that a mask keeps. The mask that an input carries is passed on and not
 * used: give it as a tensor where it should be.
 *
 * @param options - The axes.
 * @returns A layer that keeps the shape of a float tensor. It throws `ShapeError` if there is no such axis, or the mask
 * does not fit.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Softmax`
 */
export function softmax(options: SoftmaxOptions = {}): SoftmaxLayer {
  checkKeys("softmax", options, [...commonOptions, "axis"]);
  const axis = axesOption("softmax", options.axis ?? -1);
  return new Softmax({ type: "softmax", common: options, options: { axis } }) as unknown as SoftmaxLayer;
}
