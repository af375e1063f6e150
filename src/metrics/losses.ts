/** Metrics that are the mean of a loss function, as in Keras: unlike the loss they are not the mean of means of batches. */
import {
  type BinaryCrossentropyOptions,
  binaryCrossentropy as binaryLoss,
  type CategoricalCrossentropyOptions,
  categoricalCrossentropy as categoricalLoss,
  sparseCategoricalCrossentropy as sparseLoss,
} from "../losses/cross-entropy.ts";
import type { LossDocument, LossType } from "../losses/loss.ts";
import { checkKeys } from "../options.ts";
import { named } from "./accuracy.ts";
import { Metric, type MetricOptions, type MetricType } from "./metric.ts";

/** Options of the metric {@link sparseCategoricalCrossentropy}. */
export interface SparseCrossentropyMetricOptions {
  /** The output holds logits instead of probabilities; default `false`. */
  fromLogits?: boolean;
}

function mean(type: LossType | "rootMeanSquaredError", options: MetricOptions): Metric {
  checkKeys(type, options, ["name"]);
  return new Metric({ type: type as MetricType, ...named(type, options) });
}

function meanOf(document: LossDocument, name: MetricOptions): Metric {
  return new Metric({ ...document, ...named(document.type, name) });
}

/** `options` without the name, and the name. */
function apart<Options extends MetricOptions>(options: Options): [Omit<Options, "name">, MetricOptions] {
  checkKeys("metric", options, Object.keys(options ?? {}));
  const { name, ...rest } = options;
  return [rest, name === undefined ? {} : { name }];
}

/**
 * Mean of the cross-entropy of classes, not smoothed unless the options say so.
 *
 * @param options - As those of the loss, and its name.
 * @throws OptionError if an option is unknown or out of range.
 */
export function categoricalCrossentropy(options: CategoricalCrossentropyOptions & MetricOptions = {}): Metric {
  const [own, name] = apart(options);
  return meanOf(categoricalLoss(own).document, name);
}

/**
 * Mean of the cross-entropy of ids.
 *
 * @param options - Kind of output, and its name.
 * @throws OptionError if an option is unknown or out of range.
 */
export function sparseCategoricalCrossentropy(options: SparseCrossentropyMetricOptions & MetricOptions = {}): Metric {
  const [own, name] = apart(options);
  checkKeys("sparseCategoricalCrossentropy", own, ["fromLogits"]);
  return meanOf(sparseLoss(own).document, name);
}

/**
 * Mean of the cross-entropy of elements.
 *
 * @param options - As those of the loss, and its name.
 * @throws OptionError if an option is unknown or out of range.
 */
export function binaryCrossentropy(options: BinaryCrossentropyOptions & MetricOptions = {}): Metric {
  const [own, name] = apart(options);
  return meanOf(binaryLoss(own).document, name);
}

/**
 * Mean of `(x - y)^2`.
 *
 * @param options - Its name.
 */
export function meanSquaredError(options: MetricOptions = {}): Metric {
  return mean("meanSquaredError", options);
}

/**
 * Root of the mean of `(x - y)^2` over everything that was seen.
 *
 * @param options - Its name.
 */
export function rootMeanSquaredError(options: MetricOptions = {}): Metric {
  return mean("rootMeanSquaredError", options);
}

/**
 * Mean of `|x - y|`.
 *
 * @param options - Its name.
 */
export function meanAbsoluteError(options: MetricOptions = {}): Metric {
  return mean("meanAbsoluteError", options);
}

/**
 * 100 times the mean of `|x - y| / max(|y|, 1e-7)`.
 *
 * @param options - Its name.
 */
export function meanAbsolutePercentageError(options: MetricOptions = {}): Metric {
  return mean("meanAbsolutePercentageError", options);
}

/**
 * Mean of `(log(1 + x) - log(1 + y))^2`, with `x` and `y` at least 1e-7.
 *
 * @param options - Its name.
 */
export function meanSquaredLogarithmicError(options: MetricOptions = {}): Metric {
  return mean("meanSquaredLogarithmicError", options);
}

/**
 * Mean of `log(cosh(x - y))`.
 *
 * @param options - Its name.
 */
export function logCosh(options: MetricOptions = {}): Metric {
  return mean("logCosh", options);
}

/**
 * Mean of `x - y log(x + 1e-7)`.
 *
 * @param options - Its name.
 */
export function poisson(options: MetricOptions = {}): Metric {
  return mean("poisson", options);
}

/**
 * Mean of `max(1 - y x, 0)`.
 *
 * @param options - Its name.
 */
export function hinge(options: MetricOptions = {}): Metric {
  return mean("hinge", options);
}

/**
 * Mean of `max(1 - y x, 0)^2`.
 *
 * @param options - Its name.
 */
export function squaredHinge(options: MetricOptions = {}): Metric {
  return mean("squaredHinge", options);
}

/**
 * Mean of `max(max((1 - y) x) - sum(y x) + 1, 0)`.
 *
 * @param options - Its name.
 */
export function categoricalHinge(options: MetricOptions = {}): Metric {
  return mean("categoricalHinge", options);
}

/**
 * Mean of the Kullback-Leibler divergence, the sum of `y log(y / x)`.
 *
 * @param options - Its name.
 */
export function klDivergence(options: MetricOptions = {}): Metric {
  return mean("klDivergence", options);
}

/**
 * Mean of the cosine of the angle between output and target, from -1 to 1 (alike): the loss of this name is minus that.
 *
 * @param options - Its name.
 */
export function cosineSimilarity(options: MetricOptions = {}): Metric {
  return mean("cosineSimilarity", options);
}
