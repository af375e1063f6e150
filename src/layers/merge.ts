import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { checkKeys, integerOption } from "../options.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";

/** Options of {@link concatenate}. */
export interface ConcatenateOptions extends LayerOptions {
  /** The axis along which tensors are joined; negative counts from the end; not the batch. Default -1. */
  axis?: number;
}

/** A layer that is called with a list of tensors and gives one. */
export interface MergeLayer extends Layer {
  /** @param xs - Two or more tensors; `subtract` takes exactly two. */
  (xs: readonly SymbolicTensor[]): SymbolicTensor;
}

/** @internal */
export class Merge extends Layer {
  /** @internal */
  call(...inputs: unknown[]): SymbolicTensor {
    const [list] = inputs;
    if (inputs.length !== 1 || !Array.isArray(list)) {
      throw new OptionError(`layer ${this.name}: expected one list of tensors, such as layer([a, b])`);
    }
    return this.apply(list)[0]!;
  }
}

/**
 * Tensors side by side.
 *
 * @param options - The axis.
 * @returns A layer for two or more float tensors that differ along `axis` only, whose sizes there are known.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Concatenate`
 */
export function concatenate(options: ConcatenateOptions = {}): MergeLayer {
  checkKeys("concatenate", options, [...commonOptions, "axis"]);
  const axis = integerOption("concatenate", "axis", options.axis ?? -1, -32);
  return new Merge({ type: "concatenate", common: options, options: { axis } }) as unknown as MergeLayer;
}

function merge(type: string, options: LayerOptions): MergeLayer {
  checkKeys(type, options, commonOptions);
  return new Merge({ type, common: options, options: {} }) as unknown as MergeLayer;
}

/**
 * The sum of tensors of one shape, element by element. A position is masked if it is masked in every input.
 *
 * @param options - Name.
 * @returns A layer for two or more float tensors of one shape. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown.
 * @see `keras.layers.Add`
 */
export function add(options: LayerOptions = {}): MergeLayer {
  return merge("add", options);
}

/**
 * The first tensor less the second, element by element. A position is masked if it is masked in both.
 *
 * @param options - Name.
 * @returns A layer for exactly two float tensors of one shape. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown.
 * @see `keras.layers.Subtract`
 */
export function subtract(options: LayerOptions = {}): MergeLayer {
  return merge("subtract", options);
}

/**
 * The product of tensors of one shape, element by element. A position that an input masks counts as 1 in it; where
 * every input masks it, the product is 0 and masked.
 *
 * @param options - Name.
 * @returns A layer for two or more float tensors of one shape. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown.
 * @see `keras.layers.Multiply`
 */
export function multiply(options: LayerOptions = {}): MergeLayer {
  return merge("multiply", options);
}

/**
 * The mean of tensors of one shape, element by element. Masked positions are averaged like others; a position is masked
 * if it is masked in every input.
 *
 * @param options - Name.
 * @returns A layer for two or more float tensors of one shape. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown.
 * @see `keras.layers.Average`
 */
export function average(options: LayerOptions = {}): MergeLayer {
  return merge("average", options);
}

/**
 * The largest of tensors of one shape, element by element. What an input masks is left out; where every input masks a
 * position, it has the values of the first and is masked.
 *
 * The gradient goes to the largest. Inputs are compared one after the other, each with the largest before it, and two
 * that are equal share in halves, as in Keras on PyTorch: of three equal ones the first two get a quarter.
 *
 * @param options - Name.
 * @returns A layer for two or more float tensors of one shape. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown.
 * @see `keras.layers.Maximum`
 */
export function maximum(options: LayerOptions = {}): MergeLayer {
  return merge("maximum", options);
}

/**
 * The smallest of tensors of one shape, element by element; masks and gradients as those of {@link maximum}.
 *
 * @param options - Name.
 * @returns A layer for two or more float tensors of one shape. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown.
 * @see `keras.layers.Minimum`
 */
export function minimum(options: LayerOptions = {}): MergeLayer {
  return merge("minimum", options);
}
