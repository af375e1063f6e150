import { philox } from "../../data/random.ts";
import { checkKeys, integerOption } from "../../options.ts";
import { corpusStatistics, signatureOf } from "./bleu.ts";
import { type BleuOptions, type CheckedBleu, checkBleu } from "./options.ts";
import { type BleuReferences, checkedTexts } from "./references.ts";
import { scoreOf } from "./score.ts";
import { type SegmentStatistics, summed } from "./statistics.ts";

/** Options of {@link pairedBootstrap}: how BLEU is computed, and what is drawn. */
export interface PairedBootstrapOptions extends BleuOptions {
  /** How often as many segments as there are are drawn; at least 1, default 1000. */
  samples?: number;
  /** Seed of what is drawn, an integer of at least 0; default 12345. */
  seed?: number;
}

/** One system in a {@link PairedBootstrap}. */
export interface BootstrappedScore {
  /** BLEU of all segments, from 0 to 100. */
  readonly score: number;
  /** Mean of the samples. */
  readonly mean: number;
  /** Half the width of the range that holds 95 % of the samples, as sacreBLEU prints after "±". */
  readonly ci: number;
}

/** What {@link pairedBootstrap} gives. */
export interface PairedBootstrap {
  /** The first system. */
  readonly baseline: BootstrappedScore;
  /** The second system. */
  readonly system: BootstrappedScore;
  /** BLEU of the system less that of the baseline. */
  readonly difference: number;
  /** The range that holds 95 % of the differences of the samples. */
  readonly interval: readonly [lower: number, upper: number];
  /** Probability of a difference as large as this by chance, by sacreBLEU's rule; below 0.05 it counts as significant. */
  readonly pValue: number;
  /** How it was computed, in sacreBLEU's form. */
  readonly signature: string;
}

/**
 * Compares the BLEU of two systems on the same segments: segments are drawn with replacement again and again, and both are scored on
 * each sample.
 *
 * With `d_k` the absolute difference on sample k, `pValue = (1 + #{k: d_k - mean(d) > |difference|}) / (1 + samples)`.
 *
 * @param baseline - Texts of the first system.
 * @param system - Texts of the second, in the same order.
 * @param references - As for {@link bleu}.
 * @param options - How BLEU is computed; count and seed of the samples.
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
  references: BleuReferences,
  options: PairedBootstrapOptions = {},
): PairedBootstrap {
  const where = "pairedBootstrap";
  checkKeys(where, options, [...bleuKeys, "samples", "seed"]);
  const { samples: samplesOption, seed: seedOption, ...bleuOptions } = options;
  const checked = checkBleu(where, bleuOptions, false);
  const samples = integerOption(where, "samples", samplesOption ?? 1000, 1);
  const seed = integerOption(where, "seed", seedOption ?? 12345, 0);
  const first = checkedTexts(where, baseline, references);
  const second = checkedTexts(where, system, references);
  const statistics = [first, second].map((texts) => corpusStatistics(texts.hypotheses, texts.references, checked));
  const found = bootstrap(statistics[0]!, statistics[1]!, draws(seed, samples, baseline.length), checked);
  return { ...found, signature: signatureOf(first.references, checked, { bs: samples, seed }) };
}

const bleuKeys: readonly (keyof BleuOptions)[] = [
  "tokenize",
  "lowercase",
  "smoothMethod",
  "smoothValue",
  "effectiveOrder",
  "maxNgramOrder",
];

/** Segments of each sample, by number. */
function* draws(seed: number, samples: number, count: number): Generator<Uint32Array> {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  const words = [0, 0, 0, 0];
  for (let sample = 0; sample < samples; sample++) {
    const drawn = new Uint32Array(count);
    for (let index = 0; index < count; index++) {
      if (index % 4 === 0) philox([index, sample, 0, stream], key, words);
      drawn[index] = Math.floor((words[index % 4]! / 2 ** 32) * count);
    }
    yield drawn;
  }
}

/** Marks the random numbers of this module among others with the same key. */
const stream = 0x626f6f74;

/**
 * The comparison for given samples.
 *
 * @internal
 */
export function bootstrap(
  baseline: readonly SegmentStatistics[],
  system: readonly SegmentStatistics[],
  samples: Iterable<Uint32Array>,
  options: CheckedBleu,
): Omit<PairedBootstrap, "signature"> {
  const order = options.maxNgramOrder;
  const scored = (segments: Iterable<SegmentStatistics>) => scoreOf(summed(segments, order), options).score;
  const scores: { baseline: number[]; system: number[] } = { baseline: [], system: [] };
  for (const sample of samples) {
    scores.baseline.push(scored(chosen(baseline, sample)));
    scores.system.push(scored(chosen(system, sample)));
  }
  const all = { baseline: scored(baseline), system: scored(system) };
  const difference = all.system - all.baseline;
  const differences = scores.system.map((score, index) => score - scores.baseline[index]!);
  const sizes = differences.map(Math.abs);
  const mean = meanOf(sizes);
  const larger = sizes.filter((size) => size - mean > Math.abs(difference)).length;
  return {
    baseline: spread(all.baseline, scores.baseline),
    system: spread(all.system, scores.system),
    difference,
    interval: middle(differences),
    pValue: (larger + 1) / (sizes.length + 1),
  };
}

function* chosen(segments: readonly SegmentStatistics[], sample: Uint32Array): Generator<SegmentStatistics> {
  for (const index of sample) yield segments[index]!;
}

function spread(score: number, samples: readonly number[]): BootstrappedScore {
  const [lower, upper] = middle(samples);
  return { score, mean: meanOf(samples), ci: (upper - lower) / 2 };
}

/** The range without a fortieth of the values at each end. */
function middle(values: readonly number[]): [lower: number, upper: number] {
  const sorted = [...values].sort((a, b) => a - b);
  const left = Math.floor(sorted.length / 40);
  return [sorted[left]!, sorted[sorted.length - left - 1]!];
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
