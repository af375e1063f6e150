import { Turn } from "../../data/turn.ts";
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

/** Spread of a score over given samples of segments; other work of the process gets its turns. */
export async function spreadOf(
  table: SegmentTable,
  score: ScoreOfSums,
  samples: Iterable<Uint32Array>,
  signal: AbortSignal | undefined,
): Promise<BootstrappedScore> {
  const scores: number[] = [];
  const turn = new Turn(1);
  for (const sample of samples) {
    scores.push(score(summed(table, sample), sample.length).score);
    const others = turn.count();
    if (others === undefined) continue;
    await others;
    signal?.throwIfAborted();
  }
  return spread(score(summed(table), segmentsOf(table)).score, scores);
}

/** The comparison for given samples. */
export function compare(
  baseline: SegmentTable,
  system: SegmentTable,
  score: ScoreOfSums,
  samples: Iterable<Uint32Array>,
): Comparison {
  const scores: SampleScores = { baseline: [], system: [] };
  for (const sample of samples) addSample(scores, baseline, system, score, sample);
  return comparison(baseline, system, score, scores);
}

/** The same; other work of the process gets its turns. */
export async function compareLater(
  baseline: SegmentTable,
  system: SegmentTable,
  score: ScoreOfSums,
  samples: Iterable<Uint32Array>,
  signal: AbortSignal | undefined,
): Promise<Comparison> {
  const scores: SampleScores = { baseline: [], system: [] };
  const turn = new Turn(1);
  for (const sample of samples) {
    addSample(scores, baseline, system, score, sample);
    const others = turn.count();
    if (others === undefined) continue;
    await others;
    signal?.throwIfAborted();
  }
  return comparison(baseline, system, score, scores);
}

/** Scores of two systems on each sample. */
interface SampleScores {
  readonly baseline: number[];
  readonly system: number[];
}

function addSample(
  scores: SampleScores,
  baseline: SegmentTable,
  system: SegmentTable,
  score: ScoreOfSums,
  sample: Uint32Array,
): void {
  scores.baseline.push(score(summed(baseline, sample), sample.length).score);
  scores.system.push(score(summed(system, sample), sample.length).score);
}

function comparison(
  baseline: SegmentTable,
  system: SegmentTable,
  score: ScoreOfSums,
  scores: SampleScores,
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
