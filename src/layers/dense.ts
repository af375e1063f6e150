import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { type ActivationName, checkActivation } from "./activation-name.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";
import { providersOf } from "./providers.ts";
import { type BiasRules, type KernelRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["kernel", "bias"];

/** Options of {@link dense}. */
export interface DenseOptions extends LayerOptions, KernelRules, BiasRules {
  /** Features of the output, at least 1. */
  units: number;
  /** Default `"linear"`. */
  activation?: ActivationName;
  /** Default `true`. */
  useBias?: boolean;
  /** Default `"glorotUniform"`. */
  kernelInitializer?: InitializerName | Initializer;
  /** Default `"zeros"`. */
  biasInitializer?: InitializerName | Initializer;
}

/**
 * A linear layer with an activation: `y = activation(x kernel + bias)`, on the last axis.
 *
 * @param options - Features of the output and how they are computed.
 * @returns A layer from `[batch, ..., features]` to `[batch, ..., units]`, with weights `kernel [features, units]` and `bias [units]`.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Dense`
 */
export function dense(options: DenseOptions): UnaryLayer {
  checkKeys("dense", options, [
    ...commonOptions,
    "units",
    "activation",
    "useBias",
    "kernelInitializer",
    "biasInitializer",
    ...weightRuleNames(weights),
  ]);
  const kernel = resolveInitializer("dense", "kernelInitializer", options.kernelInitializer ?? "glorotUniform");
  const bias = resolveInitializer("dense", "biasInitializer", options.biasInitializer ?? "zeros");
  return new Unary({
    type: "dense",
    common: options,
    options: {
      units: integerOption("dense", "units", options.units, 1),
      activation: checkActivation("dense", "activation", options.activation ?? "linear"),
      useBias: booleanOption("dense", "useBias", options.useBias ?? true),
      kernelInitializer: kernel.document,
      biasInitializer: bias.document,
      ...weightRules("dense", options, weights),
    },
    providers: providersOf({ kernel, bias }),
  }) as unknown as UnaryLayer;
}
