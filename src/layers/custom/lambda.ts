import { OptionError } from "../../errors.ts";
import type { SymbolicTensor } from "../../graph/tensor.ts";
import { checkKeys } from "../../options.ts";
import { commonOptions, type Layer, type LayerOptions } from "../layer.ts";
import { CustomLayer, type MaybeMask } from "./custom-layer.ts";

/** Options of {@link lambda}. */
export interface LambdaOptions<Inputs extends readonly SymbolicTensor[]> extends LayerOptions {
  /** The mask of the result from the inputs; without it masks end here. */
  mask?: (...inputs: Inputs) => MaybeMask;
}

/** A layer of a function. */
export interface LambdaLayer<Inputs extends readonly SymbolicTensor[]> extends Layer {
  /** @param inputs - What the function takes. */
  (...inputs: Inputs): SymbolicTensor;
}

/**
 * A function of tensors as a layer: in the graph it is the operations that the function calls.
 *
 * @param compute - What it computes, by `ops` and by layers that were made outside.
 * @param options - Its mask and name.
 * @returns A layer that is called with what the function takes.
 * @throws OptionError if it is no function, or an option is unknown.
 * @see `keras.layers.Lambda`
 */
export function lambda<Inputs extends readonly SymbolicTensor[]>(
  compute: (...inputs: Inputs) => SymbolicTensor,
  options: LambdaOptions<Inputs> = {},
): LambdaLayer<Inputs> {
  if (typeof compute !== "function") throw new OptionError("lambda: expected a function of tensors");
  checkKeys("lambda", options, [...commonOptions, "mask"]);
  const { mask, ...common } = options;
  if (mask !== undefined && typeof mask !== "function") throw new OptionError("lambda: mask must be a function");
  const layer = new CustomLayer(
    {
      name: "lambda",
      build: () => ({}),
      call: (inputs) => compute(...(inputs as unknown as Inputs)),
      ...(mask !== undefined && { computeMask: (inputs) => mask(...(inputs as unknown as Inputs)) }),
    },
    common,
  );
  return layer as unknown as LambdaLayer<Inputs>;
}
