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
  /** @param xs - Two or more tensors. */
  (xs: readonly SymbolicTensor[]): SymbolicTensor;
}

class Merge extends Layer {
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

/**
 * The sum of tensors of one shape.
 *
 * @param options - Name.
 * @returns A layer for two or more float tensors.
 * @throws OptionError if an option is unknown.
 * @see `keras.layers.Add`
 */
export function add(options: LayerOptions = {}): MergeLayer {
  checkKeys("add", options, commonOptions);
  return new Merge({ type: "add", common: options, options: {} }) as unknown as MergeLayer;
}
