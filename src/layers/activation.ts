import type { SymbolicTensor } from "../graph/tensor.ts";
import { checkKeys } from "../options.ts";
import { type ActivationName, checkActivation } from "./activation-name.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";

/** Options of {@link activation}. */
export interface ActivationOptions extends LayerOptions {
  /** Function of each element; `"softmax"` and `"logSoftmax"` act on the last axis. */
  activation: ActivationName;
}

/** A layer that is called with one tensor and gives one. */
export interface UnaryLayer extends Layer {
  /** @param x - `[batch, ...]` */
  (x: SymbolicTensor): SymbolicTensor;
}

/** @internal */
export class Unary extends Layer {
  /** @internal */
  call(...inputs: unknown[]): SymbolicTensor {
    return this.apply(inputs)[0]!;
  }
}

/**
 * A function of each element, or softmax or its logarithm over the last axis.
 *
 * @param options - Which function.
 * @returns A layer that keeps the shape of its input.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Activation`
 */
export function activation(options: ActivationOptions): UnaryLayer {
  checkKeys("activation", options, [...commonOptions, "activation"]);
  const name = checkActivation("activation", "activation", options.activation);
  return new Unary({ type: "activation", common: options, options: { activation: name } }) as unknown as UnaryLayer;
}
