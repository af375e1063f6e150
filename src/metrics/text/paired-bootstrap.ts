import { checkKeys, nameOption } from "../../options.ts";
import { type BleuOptions, bleuKeys } from "../bleu/options.ts";
import { type ChrfOptions, chrfKeys } from "../chrf/options.ts";
import { type RougeWordOptions, rougeKeys } from "../rouge/options.ts";
import { type TerOptions, terKeys } from "../ter/options.ts";
import { type Comparison, compare } from "./bootstrap.ts";
import { type BootstrapOptions, bootstrapKeys, checkBootstrap } from "./draws.ts";
import { type TextMetricName, textMetric, textMetricNames } from "./metrics.ts";
import { checkedTexts, type TextReferences } from "./references.ts";
import { sumsOfSamples } from "./sample-sums.ts";
import { statistics, tablesOf } from "./statistics.ts";
import { type SegmentTable, signatureOf } from "./text-metric.ts";

/** Options of {@link pairedBootstrap}: the metric, how it is computed, and what is drawn. */
export interface PairedBootstrapOptions
  extends BootstrapOptions,
    BleuOptions,
    ChrfOptions,
    TerOptions,
    RougeWordOptions {
  /** What is compared, default `"bleu"`; options are those of this metric. */
  metric?: TextMetricName;
}

/** What {@link pairedBootstrap} gives. */
export interface PairedBootstrap extends Comparison {
  /** How it was computed, in sacreBLEU's form. */
  readonly signature: string;
}

/**
 * Compares two systems on the same segments: segments are drawn with replacement again and again, and both systems are scored on
 * each sample. It answers at once, on the thread of JavaScript; for many texts use {@link scoreSystems} with `paired`, which gives the same
 * numbers beside the event loop.
 *
 * With `d_k` the absolute difference on sample k, `pValue = (1 + #{k: d_k - mean(d) > |difference|}) / (1 + samples)`.
 *
 * @param baseline - Texts of the first system.
 * @param system - Texts of the second, in the same order.
 * @param references - As for {@link bleu}.
 * @param options - The metric and its options; count and seed of the samples.
 * @returns Both scores with their spread, the difference with its range, and the probability.
 * @throws OptionError if an option is wrong; DataError if there is nothing to compare, counts differ, or something is no text.
 * @see Koehn, "Statistical Significance Tests for Machine Translation Evaluation" (2004); `--paired-bs` of sacreBLEU, whose
 *   random numbers are others
 *
 * @example
 * ```ts
 * import { pairedBootstrap } from "sconce";
 *
 * const references = ["the dog bit the man", "it was not unexpected"];
 * const result = pairedBootstrap(["the dog bit a man", "it was"], references, references, { samples: 100 });
 * console.log(result.difference, result.interval, result.pValue);
 * ```
 */
export function pairedBootstrap(
  baseline: readonly string[],
  system: readonly string[],
  references: TextReferences,
  options: PairedBootstrapOptions = {},
): PairedBootstrap {
  const where = "pairedBootstrap";
  checkKeys(where, options, [
    ...new Set(["metric", ...bootstrapKeys, ...bleuKeys, ...chrfKeys, ...terKeys, ...rougeKeys]),
  ]);
  const { samples, seed, metric: name, ...own } = options;
  const drawn = checkBootstrap(where, {
    ...(samples === undefined ? {} : { samples }),
    ...(seed === undefined ? {} : { seed }),
  });
  const metric = textMetric(where, nameOption(where, "metric", name ?? "bleu", textMetricNames), own);
  const first = checkedTexts(where, baseline, references);
  const second = checkedTexts(where, system, references);
  const [one, two] = statistics(metric, [first, second]);
  const found = compare(one!, two!, metric.score, sumsOfBoth(one!, two!, drawn));
  const signature = signatureOf(metric, first.counts, { bs: drawn.samples, seed: drawn.seed });
  return { ...found, signature };
}

/**
 * {@link pairedBootstrap} for a metric of one's own: any score that is made of sums over segments.
 *
 * @param baseline - Numbers of each segment of the first system.
 * @param system - Those of the second, of as many segments with as many numbers.
 * @param score - The score of sums over some segments, and how many there are.
 * @param options - Count and seed of the samples.
 * @returns As {@link pairedBootstrap}.
 * @throws OptionError if an option is wrong; DataError if the statistics do not fit.
 *
 * @example
 * ```ts
 * import { compareStatistics } from "sconce";
 *
 * // Whether each answer was right: the score is a mean.
 * const { difference, pValue } = compareStatistics([[1], [0], [0]], [[1], [1], [0]], ([right], count) => (right ?? 0) / count);
 * console.log(difference, pValue);
 * ```
 */
export function compareStatistics(
  baseline: readonly (readonly number[])[],
  system: readonly (readonly number[])[],
  score: (sums: number[], segments: number) => number,
  options: BootstrapOptions = {},
): Comparison {
  const where = "compareStatistics";
  checkKeys(where, options, bootstrapKeys);
  const drawn = checkBootstrap(where, options);
  const [one, two] = tablesOf(where, baseline, system);
  const scored = (sums: Float64Array, segments: number) => ({ score: score([...sums], segments) });
  return compare(one, two, scored, sumsOfBoth(one, two, drawn));
}

function sumsOfBoth(baseline: SegmentTable, system: SegmentTable, drawn: Required<BootstrapOptions>) {
  return { baseline: sumsOfSamples(baseline, drawn), system: sumsOfSamples(system, drawn) };
}
