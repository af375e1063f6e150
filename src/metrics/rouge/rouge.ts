import { checkKeys, numberOption } from "../../options.ts";
import { type BootstrapOptions, checkBootstrap } from "../text/draws.ts";
import { scored, streamsOf } from "../text/now.ts";
import { checkedTexts, type TextReferences } from "../text/references.ts";
import { sumsOfSamples } from "../text/sample-sums.ts";
import { segmentsOf, statistics } from "../text/statistics.ts";
import type { Scored, SegmentTable, TextMetric } from "../text/text-metric.ts";
import { checkRouge, type RougeOptions, type RougeType, rougeKeys } from "./options.ts";

/** Precision, recall and F1, from 0 to 1. */
export interface RougeValues {
  /** Share of the hypothesis that the reference has too. */
  readonly precision: number;
  /** Share of the reference that the hypothesis has too. */
  readonly recall: number;
  /** Harmonic mean of both; of a corpus the mean of those of its segments, as the others. */
  readonly fmeasure: number;
}

/** Values for each type that was asked for. */
export type RougeByType<Values = RougeValues> = Readonly<Partial<Record<RougeType, Values>>>;

/** ROUGE of sums. */
export interface RougeScore extends Scored, RougeValues {
  /** F1 of the first type. */
  readonly score: number;
  /** Means over the segments. */
  readonly scores: RougeByType;
}

/** What {@link rouge} gives. */
export interface Rouge {
  /** Means over the segments, for each type. */
  readonly scores: RougeByType;
  /** How they were computed, such as `nrefs:1|tok:default|stem:no|version:sconce-0.1.0`. */
  readonly signature: string;
}

function valuesOf(sums: Float64Array, segments: number, type: number): RougeValues {
  const [precision, recall, fmeasure] = [0, 1, 2].map((index) => sums[3 * type + index]! / segments);
  return { precision: precision!, recall: recall!, fmeasure: fmeasure! };
}

/** ROUGE with checked options. */
export function rougeMetric(where: string, options: RougeOptions): TextMetric<RougeScore> {
  const checked = checkRouge(where, options);
  const { types, useStemmer, tokenizer } = checked;
  return {
    name: "rouge",
    counts: { rouge: checked },
    width: 3 * types.length,
    score: (sums, segments) => {
      const scores = Object.fromEntries(types.map((type, index) => [type, valuesOf(sums, segments, index)]));
      const first = scores[types[0]!]!;
      return { score: first.fmeasure, ...first, scores };
    },
    signature: { tok: tokenizer, stem: useStemmer },
  };
}

/**
 * ROUGE of texts, equal to that of the Python package rouge-score: precision, recall and F1 of what each text has in common with its
 * reference, and their means.
 *
 * Of several references of a segment that with the largest F1 counts, for each type by itself.
 *
 * @param hypotheses - Texts as they were generated.
 * @param references - A text for each hypothesis; with several references a list of such lists, one for each set of references.
 * @param options - What is compared, and how texts are cut into words.
 * @returns Values from 0 to 1 for each type, and how they were computed.
 * @throws OptionError if an option is wrong; DataError if there is nothing to compare, counts differ, or something is no text; LimitError
 *   if two sentences are too long for `"rougeLsum"`: together more than 2^32 pairs of words.
 * @see Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004); `rouge_score.rouge_scorer.RougeScorer`
 *
 * @example
 * ```ts
 * import { rouge } from "sconce";
 *
 * const { scores } = rouge(["The cat sat there."], ["The cat was sitting on the mat."], { useStemmer: true });
 * console.log(scores.rouge1?.fmeasure, scores.rougeL?.recall);
 * ```
 */
export function rouge(hypotheses: readonly string[], references: TextReferences, options: RougeOptions = {}): Rouge {
  const { scores, signature } = scored(rougeMetric("rouge", options), hypotheses, references);
  return { scores, signature };
}

/**
 * ROUGE of one text.
 *
 * @param hypothesis - A text as it was generated.
 * @param references - What it is compared with, one text or several.
 * @param options - What is compared, and how texts are cut into words.
 * @returns As {@link rouge}.
 * @throws As {@link rouge}.
 */
export function sentenceRouge(
  hypothesis: string,
  references: string | readonly string[],
  options: RougeOptions = {},
): Rouge {
  return rouge([hypothesis], streamsOf(references), options);
}

/** Options of {@link aggregateRouge}: those of {@link rouge}, and what is drawn. */
export interface AggregateRougeOptions extends RougeOptions, BootstrapOptions {
  /** Share of the samples that lies between `low` and `high`, from 0 to 1; default 0.95. */
  confidenceInterval?: number;
}

/** Values that a share of the samples lies between, and the median. */
export interface RougeAggregate {
  /** Lower end. */
  readonly low: RougeValues;
  /** Median of the samples. */
  readonly mid: RougeValues;
  /** Upper end. */
  readonly high: RougeValues;
}

/**
 * ROUGE of texts with ranges, as rouge-score's `BootstrapAggregator` gives them with other random numbers: segments are drawn with
 * replacement again and again, and percentiles of the means of the samples are taken.
 *
 * @param hypotheses - Texts as they were generated.
 * @param references - As for {@link rouge}.
 * @param options - Those of {@link rouge}; count and seed of the samples, and the share that lies in between.
 * @returns Ranges for each type.
 * @throws As {@link rouge}.
 */
export function aggregateRouge(
  hypotheses: readonly string[],
  references: TextReferences,
  options: AggregateRougeOptions = {},
): RougeByType<RougeAggregate> {
  const where = "aggregateRouge";
  checkKeys(where, options, ["types", ...rougeKeys, "samples", "seed", "confidenceInterval"]);
  const { samples, seed, confidenceInterval, ...own } = options;
  const drawn = checkBootstrap(where, {
    ...(samples === undefined ? {} : { samples }),
    ...(seed === undefined ? {} : { seed }),
  });
  const share = numberOption(where, "confidenceInterval", confidenceInterval ?? 0.95, 0, 1);
  return aggregated(hypotheses, references, own, (table) => sumsOfSamples(table, drawn), share);
}

/** The ranges for given sums over samples. */
export function aggregated(
  hypotheses: readonly string[],
  references: TextReferences,
  options: RougeOptions,
  sumsOf: (table: SegmentTable) => Iterable<Float64Array>,
  share: number,
): RougeByType<RougeAggregate> {
  const where = "aggregateRouge";
  const metric = rougeMetric(where, options);
  const table = statistics(metric, [checkedTexts(where, hypotheses, references)])[0]!;
  const segments = segmentsOf(table);
  const means: number[][] = Array.from({ length: metric.width }, () => []);
  for (const sums of sumsOf(table)) {
    for (const [column, values] of means.entries()) values.push(sums[column]! / segments);
  }
  const sorted = means.map((values) => Float64Array.from(values).sort());
  const rest = (1 - share) / 2;
  const at = (fraction: number, type: number): RougeValues => {
    const [precision, recall, fmeasure] = [0, 1, 2].map((index) => quantile(sorted[3 * type + index]!, fraction));
    return { precision: precision!, recall: recall!, fmeasure: fmeasure! };
  };
  const types = checkRouge(where, options).types;
  return Object.fromEntries(
    types.map((type, index) => [type, { low: at(rest, index), mid: at(0.5, index), high: at(1 - rest, index) }]),
  );
}

/** The value below which a share of the sorted values lies, between two values on the line that joins them. */
function quantile(sorted: Float64Array, fraction: number): number {
  const place = fraction * (sorted.length - 1);
  const below = Math.floor(place);
  const value = sorted[below]!;
  return value + (place - below) * ((sorted[below + 1] ?? value) - value);
}
