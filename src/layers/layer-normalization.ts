import { OptionError } from "../errors.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, numberOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { axesOption } from "./axes-option.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";
import { providersOf } from "./providers.ts";
import { type BetaRules, type GammaRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["beta", "gamma"];

/** Options of {@link layerNormalization}. */
export interface LayerNormalizationOptions extends LayerOptions, BetaRules, GammaRules {
  /** Axis, or axes, over which mean and variance are taken; negative counts from the end; not the batch. Default -1. */
  axis?: number | readonly number[];
  /** Added to the variance, at least 0; default 0.001. */
  epsilon?: number;
  /** Whether a weight `beta` is added; default `true`. */
  center?: boolean;
  /** Whether the result is multiplied by a weight `gamma`; default `true`. */
  scale?: boolean;
  /** Default `"zeros"`. */
  betaInitializer?: InitializerName | Initializer;
  /** Default `"ones"`. */
  gammaInitializer?: InitializerName | Initializer;
}

/**
 * Normalises each sample, by default each position by itself: `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`.
 * It passes on the mask of its input; masked positions are normalised like others.
 *
 * @param options - Axes and the rest.
 * @returns A layer that keeps the shape of a float tensor, with weights `gamma` and `beta`, each with the sizes of the axes.
 * It throws `ShapeError` if such a size is not known.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.LayerNormalization`
 */
export function layerNormalization(options: LayerNormalizationOptions = {}): UnaryLayer {
  const where = "layerNormalization";
  checkKeys(where, options, [
    ...commonOptions,
    "axis",
    "epsilon",
    "center",
    "scale",
    "betaInitializer",
    "gammaInitializer",
    ...weightRuleNames(weights),
  ]);
  const beta = resolveInitializer(where, "betaInitializer", options.betaInitializer ?? "zeros");
  const gamma = resolveInitializer(where, "gammaInitializer", options.gammaInitializer ?? "ones");
  const epsilon = numberOption(where, "epsilon", options.epsilon ?? 1e-3, 0);
  if (!Number.isFinite(Math.fround(epsilon))) throw new OptionError(`${where}: epsilon ${epsilon} is no 32-bit number`);
  return new Unary({
    type: where,
    common: options,
    options: {
      axis: axesOption(where, options.axis ?? -1),
      epsilon,
      center: booleanOption(where, "center", options.center ?? true),
      scale: booleanOption(where, "scale", options.scale ?? true),
      betaInitializer: beta.document,
      gammaInitializer: gamma.document,
      ...weightRules(where, options, weights),
    },
    providers: providersOf({ gamma, beta }),
  }) as unknown as UnaryLayer;
}
