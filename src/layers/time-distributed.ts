import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { checkKeys } from "../options.ts";
import { takeLayer } from "./inner-layer.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";

/** A layer that {@link timeDistributed} takes: one that is called with one tensor. */
export type StepLayer = Layer & ((x: SymbolicTensor) => SymbolicTensor | SymbolicTensor[]);

/** Options of {@link timeDistributed}. */
export interface TimeDistributedOptions<L extends StepLayer = StepLayer> extends LayerOptions {
  /** The layer for each step. It must not have been called, and is not called by itself afterwards. */
  layer: L;
}

/** A layer at each step, which gives what the inner layer gives. */
export interface TimeDistributedLayer<L extends StepLayer = StepLayer> extends Layer {
  /** @param x - `[batch, time, ...]`, three axes at least. */
  (x: SymbolicTensor): ReturnType<L>;
}

class TimeDistributed extends Layer {
  call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
    const outputs = this.apply(inputs);
    return outputs.length === 1 ? outputs[0]! : [...outputs];
  }
}

/**
 * A layer at each step of a sequence by itself, with the same weights: from `[batch, time, ...]` the layer sees
 * `[batch times time, ...]`, and what it gives is split again. Steps that the mask of the input leaves out are passed
 * through the layer too; its outputs have the mask of the input, whatever the layer does with masks.
 *
 * Its weights are those of the layer, in their order. A layer that is not trainable stays so within.
 *
 * @param options - The layer, or options with it.
 * @returns A layer for a tensor of three axes at least. It throws `ShapeError` for others, and what the inner layer throws.
 * @throws OptionError if an option is unknown, or the layer was called before or is within another.
 * @see `keras.layers.TimeDistributed`
 */
export function timeDistributed<L extends StepLayer>(options: L | TimeDistributedOptions<L>): TimeDistributedLayer<L> {
  const given = options instanceof Layer ? { layer: options } : options;
  checkKeys("timeDistributed", given, [...commonOptions, "layer"]);
  const { layer } = given;
  if (layer === undefined) throw new OptionError("timeDistributed: the option layer is missing");
  return new TimeDistributed({
    type: "timeDistributed",
    common: given,
    options: { layer: takeLayer("timeDistributed", layer) },
    providers: layer.providers,
  }) as unknown as TimeDistributedLayer<L>;
}
