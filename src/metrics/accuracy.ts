import { OptionError } from "../errors.ts";
import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import { Metric, type MetricOptions, type MetricType } from "./metric.ts";

/** Options of {@link binaryAccuracy}, {@link precision} and {@link recall}. */
export interface ThresholdOptions extends MetricOptions {
  /** Outputs above it mean 1; default 0.5. */
  threshold?: number;
}

/** Options of {@link topKCategoricalAccuracy} and {@link sparseTopKCategoricalAccuracy}. */
export interface TopKOptions extends MetricOptions {
  /** How many of the largest classes are looked at, from 1; default 5. */
  k?: number;
}

/** Options of {@link perplexity}. */
export interface PerplexityOptions extends MetricOptions {
  /** The output holds logits instead of probabilities; default what its loss says, `false` without one. */
  fromLogits?: boolean;
}

/** The name as a part of a document, if one was given. */
export function named(where: string, { name }: MetricOptions): { name?: string } {
  if (name === undefined) return {};
  if (typeof name === "string" && name.length > 0 && name.length <= 256) return { name };
  throw new OptionError(`${where}: name must be a string of 1 to 256 characters, got ${String(name)}`);
}

function simple(type: MetricType, options: MetricOptions): Metric {
  checkKeys(type, options, ["name"]);
  return new Metric({ type, ...named(type, options) });
}

function above(type: MetricType, options: ThresholdOptions): Metric {
  checkKeys(type, options, ["threshold", "name"]);
  const threshold = numberOption(type, "threshold", options.threshold ?? 0.5);
  return new Metric({ type, threshold, ...named(type, options) });
}

function among(type: MetricType, options: TopKOptions): Metric {
  checkKeys(type, options, ["k", "name"]);
  return new Metric({ type, k: integerOption(type, "k", options.k ?? 5, 1), ...named(type, options) });
}

/**
 * Share of right predictions: {@link binaryAccuracy} for outputs with one class, {@link sparseCategoricalAccuracy} for
 * targets of ids, otherwise {@link categoricalAccuracy}; decided for each batch by its targets.
 *
 * @param options - Its name.
 * @throws OptionError if an option is unknown or wrong.
 */
export function accuracy(options: MetricOptions = {}): Metric {
  return simple("accuracy", options);
}

/**
 * Share of positions where output and target are largest at the same class.
 *
 * @param options - Its name.
 * @throws OptionError if an option is unknown or wrong.
 */
export function categoricalAccuracy(options: MetricOptions = {}): Metric {
  return simple("categoricalAccuracy", options);
}

/**
 * Share of positions where the output is largest at the id that is the target.
 *
 * @param options - Its name.
 * @throws OptionError if an option is unknown or wrong.
 */
export function sparseCategoricalAccuracy(options: MetricOptions = {}): Metric {
  return simple("sparseCategoricalAccuracy", options);
}

/**
 * Share of elements where the output, compared with a threshold, is the target.
 *
 * @param options - The threshold.
 * @throws OptionError if an option is unknown or out of range.
 */
export function binaryAccuracy(options: ThresholdOptions = {}): Metric {
  return above("binaryAccuracy", options);
}

/**
 * Share of positions where fewer than `k` classes have a larger output than the class with the largest target.
 *
 * @param options - How many classes.
 * @throws OptionError if an option is unknown or out of range.
 */
export function topKCategoricalAccuracy(options: TopKOptions = {}): Metric {
  return among("topKCategoricalAccuracy", options);
}

/**
 * Share of positions where fewer than `k` classes have a larger output than the class whose id is the target.
 *
 * @param options - How many classes.
 * @throws OptionError if an option is unknown or out of range.
 */
export function sparseTopKCategoricalAccuracy(options: TopKOptions = {}): Metric {
  return among("sparseTopKCategoricalAccuracy", options);
}

/**
 * Of the elements whose output is above a threshold, the share of those whose target is not 0.
 *
 * @param options - The threshold.
 * @throws OptionError if an option is unknown or out of range.
 */
export function precision(options: ThresholdOptions = {}): Metric {
  return above("precision", options);
}

/**
 * Of the elements whose target is not 0, the share of those whose output is above a threshold.
 *
 * @param options - The threshold.
 * @throws OptionError if an option is unknown or out of range.
 */
export function recall(options: ThresholdOptions = {}): Metric {
  return above("recall", options);
}

/**
 * `exp` of the mean cross-entropy per position; unlike the loss it is not smoothed.
 *
 * @param options - Kind of output.
 * @throws OptionError if an option is unknown or wrong.
 */
export function perplexity(options: PerplexityOptions = {}): Metric {
  checkKeys("perplexity", options, ["fromLogits", "name"]);
  const fromLogits = booleanOption("perplexity", "fromLogits", options.fromLogits ?? false);
  return new Metric({ type: "perplexity", fromLogits, ...named("perplexity", options) });
}
