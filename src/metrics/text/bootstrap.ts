import { Turn } from "../../data/turn.ts";
import type { BootstrapOptions } from "./draws.ts";
import { sumsOfSamplesLater } from "./sample-sums.ts";
import { segmentsOf, summed } from "./statistics.ts";
import type { Scored, SegmentTable } from "./text-metric.ts";

/** A score with what a bootstrap says of it. */
export interface BootstrappedScore {
  /** Score of all segments. */
  readonly score: number;
  /** Mean of the samples. */
  readonly mean: number;
  /** Half the width of the range that holds 95 % of the samples, as sacreBLEU prints after "±". */
  readonly ci: number;
  /** The range that holds 95 % of the samples. */
  readonly interval: readonly [lower: number, upper: number];
}

/** What a comparison of two systems says. */
export interface Comparison {
  /** The first system. */
  readonly baseline: BootstrappedScore;
  /** The second system. */
  readonly system: BootstrappedScore;
  /** Score of the system less that of the baseline. */
  readonly difference: number;
  /** The range that holds 95 % of the differences of the samples. */
  readonly interval: readonly [lower: number, upper: number];
  /** Probability of a difference as large as this by chance, by sacreBLEU's rule; below 0.05 it counts as significant. */
  readonly pValue: number;
}

/** A score of sums over some segments. */
export type ScoreOfSums = (sums: Float64Array, segments: number) => Scored;

/** Spread of a score over drawn samples of segments, whose sums the compute threads make. */
export async function spreadOf(
  table: SegmentTable,
  score: ScoreOfSums,
  drawn: Required<BootstrapOptions>,
  signal: AbortSignal | undefined,
): Promise<BootstrappedScore> {
  const scores = await scoresLater(table, score, drawn, signal);
  return spread(score(summed(table), segmentsOf(table)).score, scores);
}

/** The comparison for given sums over samples, of both systems over the same ones. */
export function compare(
  baseline: SegmentTable,
  system: SegmentTable,
  score: ScoreOfSums,
  sums: SampleValues<Iterable<Float64Array>>,
): Comparison {
  const segments = segmentsOf(baseline);
  const scores = (own: Iterable<Float64Array>) => Array.from(own, (sum) => score(sum, segments).score);
  return comparison(baseline, system, score, { baseline: scores(sums.baseline), system: scores(sums.system) });
}

/** The same for drawn samples, whose sums the compute threads make. */
export async function compareLater(
  baseline: SegmentTable,
  system: SegmentTable,
  score: ScoreOfSums,
  drawn: Required<BootstrapOptions>,
  signal: AbortSignal | undefined,
): Promise<Comparison> {
  return comparison(baseline, system, score, {
    baseline: await scoresLater(baseline, score, drawn, signal),
    system: await scoresLater(system, score, drawn, signal),
  });
}

/** What samples give for two systems. */
export interface SampleValues<Values> {
  readonly baseline: Values;
  readonly system: Values;
}

/** Scores of drawn samples; other work of the process gets its turns. */
async function scoresLater(
  table: SegmentTable,
  score: ScoreOfSums,
  drawn: Required<BootstrapOptions>,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const scores: number[] = [];
  const segments = segmentsOf(table);
  const turn = new Turn(1);
  for await (const sums of sumsOfSamplesLater(table, drawn, signal)) {
    for (const sum of sums) {
      scores.push(score(sum, segments).score);
      const others = turn.count();
      if (others === undefined) continue;
      await others;
      signal?.throwIfAborted();
    }
  }
  return scores;
}

function comparison(
  baseline: SegmentTable,
  system: SegmentTable,
  score: ScoreOfSums,
  scores: SampleValues<readonly number[]>,
): Comparison {
  const all = [baseline, system].map((table) => score(summed(table), segmentsOf(table)).score) as [number, number];
  const difference = all[1] - all[0];
  const differences = scores.system.map((value, index) => value - scores.baseline[index]!);
  const sizes = differences.map(Math.abs);
  const mean = meanOf(sizes);
  const larger = sizes.filter((size) => size - mean > Math.abs(difference)).length;
  return {
    baseline: spread(all[0], scores.baseline),
    system: spread(all[1], scores.system),
    difference,
    interval: middle(differences),
    pValue: (larger + 1) / (sizes.length + 1),
  };
}

function spread(score: number, samples: readonly number[]): BootstrappedScore {
  const interval = middle(samples);
  return { score, mean: meanOf(samples), ci: (interval[1] - interval[0]) / 2, interval };
}

/** The range without a fortieth of the values at each end. */
function middle(values: readonly number[]): [lower: number, upper: number] {
  const sorted = Float64Array.from(values).sort();
  const left = Math.floor(sorted.length / 40);
  return [sorted[left]!, sorted[sorted.length - left - 1]!];
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
