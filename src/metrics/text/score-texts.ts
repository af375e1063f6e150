import { OptionError } from "../../errors.ts";
import { checkKeys, checkSignal, nameOption } from "../../options.ts";
import { spreadOf } from "./bootstrap.ts";
import { type BootstrapOptions, bootstrapKeys, checkBootstrap } from "./draws.ts";
import {
  checkTextMetricOptions,
  optionsGroup,
  type TextMetricName,
  type TextMetricOptions,
  textMetric,
  textMetricKeys,
  textMetricNames,
} from "./metrics.ts";
import { type CheckedTexts, checkedTexts, type TextReferences } from "./references.ts";
import { segmentsOf, statisticsLater, summed } from "./statistics.ts";
import { type Scored, type SegmentTable, signatureOf, type TextMetric } from "./text-metric.ts";

/** Options of {@link scoreTexts}. */
export interface ScoreTextsOptions extends TextMetricOptions {
  /** What is computed, default `["bleu", "chrf"]`. */
  metrics?: readonly TextMetricName[];
  /** Gives each score the range that holds 95 % of samples of the segments; default none. */
  bootstrap?: BootstrapOptions;
  /** Stops the computation; the rejection is its reason. */
  signal?: AbortSignal;
}

/** A score of generated texts. */
export interface TextScore {
  /** The score: from 0 to 100, of ROUGE from 0 to 1. */
  readonly score: number;
  /** How it was computed, in sacreBLEU's form; publish it with the number. */
  readonly signature: string;
  /** Mean of the samples; only with `bootstrap`. */
  readonly mean?: number;
  /** Half the width of the range that holds 95 % of the samples; only with `bootstrap`. */
  readonly ci?: number;
  /** The range that holds 95 % of the samples; only with `bootstrap`. */
  readonly interval?: readonly [lower: number, upper: number];
  /** What the score is made of, as `bleu`, `chrf`, `ter` and `rouge` give it. */
  readonly [detail: string]: unknown;
}

/** Scores by the names of the metrics. */
export type TextScores = Readonly<Partial<Record<TextMetricName, TextScore>>>;

/** Metrics with their names. */
export type NamedMetrics = readonly (readonly [TextMetricName, TextMetric<Scored>])[];

/**
 * The metrics with these names.
 *
 * @throws OptionError if an option is wrong.
 */
export function namedMetrics(
  where: string,
  names: readonly TextMetricName[],
  options: TextMetricOptions,
): NamedMetrics {
  checkTextMetricOptions(where, options);
  return [...new Set(names)].map((name) => {
    const group = optionsGroup(name);
    const own = group === undefined ? {} : (options[group] ?? {});
    return [name, textMetric(group === undefined ? where : `${where}: ${group}`, name, own)] as const;
  });
}

/**
 * Scores of generated texts by several metrics, counted on other threads than that of JavaScript, except the rules for answers, and
 * beside the event loop.
 *
 * @param hypotheses - Texts as they were generated.
 * @param references - A text for each hypothesis; with several references a list of such lists, one for each set of references.
 * @param options - Which metrics, their options, whether ranges are wanted, signal.
 * @returns For each metric its score, signature, and what it is made of.
 * @throws OptionError if an option is wrong; DataError if there is nothing to compare, counts differ, or something is no text.
 *
 * @example
 * ```ts
 * import { scoreTexts } from "sconce";
 *
 * const scores = await scoreTexts(["The dog bit the man."], ["The dog had bitten the man."], { metrics: ["chrf++", "ter"] });
 * console.log(scores["chrf++"]?.score, scores.ter?.signature);
 * ```
 */
export async function scoreTexts(
  hypotheses: readonly string[],
  references: TextReferences,
  options: ScoreTextsOptions = {},
): Promise<TextScores> {
  const where = "scoreTexts";
  checkKeys(where, options, scoringKeys);
  const checked = checkScoring(where, options);
  const texts = checkedTexts(where, hypotheses, references);
  const [scores] = await scored([texts], checked, await tablesOf([texts], checked));
  return scores!;
}

/** Names of the options of {@link scoreTexts}. */
export const scoringKeys: readonly string[] = ["metrics", ...textMetricKeys, "bootstrap", "signal"];

/** Checked options of {@link scoreTexts}. */
export interface CheckedScoring {
  readonly metrics: NamedMetrics;
  /** What is drawn for ranges, if these are wanted. */
  readonly drawn: Required<BootstrapOptions> | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of {@link scoreTexts} but for unknown names; throws OptionError. */
export function checkScoring(where: string, options: ScoreTextsOptions): CheckedScoring {
  const { metrics: names = ["bleu", "chrf"], bootstrap, signal, ...own } = options;
  checkSignal(where, signal);
  if (!Array.isArray(names) || names.length === 0) {
    throw new OptionError(`${where}: metrics must be a list of at least one name`);
  }
  for (const name of names) nameOption(where, "metrics", name, textMetricNames);
  if (bootstrap !== undefined) checkKeys(`${where}: bootstrap`, bootstrap, bootstrapKeys);
  const drawn = bootstrap === undefined ? undefined : checkBootstrap(`${where}: bootstrap`, bootstrap);
  return { metrics: namedMetrics(where, names, own), drawn, signal };
}

/** For each metric the statistics of each system. */
export function tablesOf(
  systems: readonly CheckedTexts[],
  { metrics, signal }: CheckedScoring,
): Promise<SegmentTable[][]> {
  return statisticsLater(
    metrics.map(([, metric]) => metric),
    systems,
    signal,
  );
}

/** The scores of each system. */
export async function scored(
  systems: readonly CheckedTexts[],
  { metrics, drawn, signal }: CheckedScoring,
  tables: readonly (readonly SegmentTable[])[],
): Promise<TextScores[]> {
  const all: TextScores[] = [];
  for (const [number, texts] of systems.entries()) {
    const scores: [TextMetricName, TextScore][] = [];
    for (const [index, [name, metric]] of metrics.entries()) {
      const table = tables[index]![number]!;
      const segments = segmentsOf(table);
      const found = metric.score(summed(table), segments);
      const spread = drawn === undefined ? {} : await spreadOf(table, metric.score, drawn, signal);
      const extra = drawn === undefined ? {} : { bs: drawn.samples, seed: drawn.seed };
      scores.push([name, { ...found, ...spread, signature: signatureOf(metric, texts.counts, extra) }]);
    }
    all.push(Object.fromEntries(scores));
  }
  return all;
}
