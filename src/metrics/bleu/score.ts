import type { CheckedBleu } from "./options.ts";

/** BLEU with what it is made of; the fields of sacreBLEU. */
export interface BleuScore {
  /** BLEU, from 0 to 100. */
  readonly score: number;
  /** For each order of n-grams from 1, the smoothed share that a reference has too, from 0 to 100. */
  readonly precisions: readonly number[];
  /** Brevity penalty, from 0 to 1: `exp(1 - refLen / sysLen)` where that is less. */
  readonly bp: number;
  /** `sysLen / refLen`; 0 without references' words. */
  readonly ratio: number;
  /** For each order, n-grams of the hypotheses that a reference has too; as in sacreBLEU with what `"add-k"` adds. */
  readonly counts: readonly number[];
  /** For each order, n-grams of the hypotheses; with what `"add-k"` adds. */
  readonly totals: readonly number[];
  /** Words of the hypotheses. */
  readonly sysLen: number;
  /** Words of the references, of several of a segment that whose length is nearest. */
  readonly refLen: number;
}

/** What sacreBLEU has for the logarithm of 0. */
const lowest = -9999999999;

/** Sums over segments, as the addon counts them: lengths, then n-grams of each order that a reference has too, then all. */
export function sumsOf(sums: ArrayLike<number>, order: number): BleuSums {
  const part = (start: number) => Array.from({ length: order }, (_, index) => sums[start + index]!);
  return { hypothesisLength: sums[0]!, referenceLength: sums[1]!, counts: part(2), totals: part(2 + order) };
}

/** What BLEU is made of. */
export interface BleuSums {
  /** Words of the hypotheses. */
  readonly hypothesisLength: number;
  /** Words of the references whose lengths are nearest; of two the shorter. */
  readonly referenceLength: number;
  /** For each order from 1, n-grams of the hypotheses that a reference has too, each as often as in one of them at most. */
  readonly counts: readonly number[];
  /** For each order from 1, n-grams of the hypotheses. */
  readonly totals: readonly number[];
}

/** BLEU of summed statistics. */
export function scoreOf(
  { hypothesisLength: sysLen, referenceLength: refLen, ...found }: BleuSums,
  { smoothMethod, smoothValue, effectiveOrder, maxNgramOrder }: CheckedBleu,
): BleuScore {
  const counts = [...found.counts];
  const totals = [...found.totals];
  const precisions = new Array<number>(maxNgramOrder).fill(0);
  const bp = sysLen >= refLen ? 1 : sysLen > 0 ? Math.exp(1 - refLen / sysLen) : 0;
  const ratio = refLen > 0 ? sysLen / refLen : 0;
  const rest = { precisions, bp, ratio, counts, totals, sysLen, refLen };
  if (counts.every((count) => count === 0)) return { score: 0, ...rest };
  let halvings = 1;
  let order = maxNgramOrder;
  for (let index = 0; index < maxNgramOrder; index++) {
    if (smoothMethod === "add-k" && index > 0) {
      counts[index]! += smoothValue;
      totals[index]! += smoothValue;
    }
    const [count, total] = [counts[index]!, totals[index]!];
    if (total === 0) break;
    if (effectiveOrder) order = index + 1;
    if (count > 0) {
      precisions[index] = (100 * count) / total;
    } else if (smoothMethod === "exp") {
      halvings *= 2;
      precisions[index] = 100 / (halvings * total);
    } else if (smoothMethod === "floor") {
      precisions[index] = (100 * smoothValue) / total;
    }
  }
  const logarithms = precisions.slice(0, order).map((value) => (value === 0 ? lowest : Math.log(value)));
  const score = bp * Math.exp(logarithms.reduce((sum, value) => sum + value, 0) / order);
  return { score, ...rest };
}
