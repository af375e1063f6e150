/** What BLEU needs of one segment; all of it can be summed over segments. */
export interface SegmentStatistics {
  /** Words of the hypothesis. */
  readonly hypothesisLength: number;
  /** Words of the reference whose length is nearest; the shorter of two that are. */
  readonly referenceLength: number;
  /** For each order from 1, n-grams of the hypothesis that a reference has too, each as often as in one of them at most. */
  readonly counts: readonly number[];
  /** For each order from 1, n-grams of the hypothesis. */
  readonly totals: readonly number[];
}

/** N-grams of one segment's references, and their lengths. */
export interface SegmentReferences {
  readonly ngrams: ReadonlyMap<string, number>;
  readonly lengths: readonly number[];
}

/** Calls `visit` with each n-gram of up to `order` words; words hold no space, so that they can be joined by one. */
function eachNgram(words: readonly string[], order: number, visit: (ngram: string, length: number) => void): void {
  for (let start = 0; start < words.length; start++) {
    let ngram = words[start]!;
    visit(ngram, 1);
    for (let length = 2; length <= order && start + length <= words.length; length++) {
      ngram += ` ${words[start + length - 1]!}`;
      visit(ngram, length);
    }
  }
}

/** Reads the references of a segment, each cut into words. */
export function segmentReferences(references: readonly (readonly string[])[], order: number): SegmentReferences {
  const ngrams = new Map<string, number>();
  for (const words of references) {
    const own = references.length === 1 ? ngrams : new Map<string, number>();
    eachNgram(words, order, (ngram) => own.set(ngram, (own.get(ngram) ?? 0) + 1));
    if (own === ngrams) continue;
    for (const [ngram, count] of own) ngrams.set(ngram, Math.max(count, ngrams.get(ngram) ?? 0));
  }
  return { ngrams, lengths: references.map((words) => words.length) };
}

/** Compares a hypothesis, cut into words, with its references. */
export function segmentStatistics(
  words: readonly string[],
  { ngrams, lengths }: SegmentReferences,
  order: number,
): SegmentStatistics {
  const counts = new Array<number>(order).fill(0);
  const totals = new Array<number>(order).fill(0);
  const seen = new Map<string, number>();
  eachNgram(words, order, (ngram, length) => {
    totals[length - 1]! += 1;
    const known = ngrams.get(ngram);
    if (known === undefined) return;
    const times = (seen.get(ngram) ?? 0) + 1;
    seen.set(ngram, times);
    if (times <= known) counts[length - 1]! += 1;
  });
  let referenceLength = lengths[0] ?? 0;
  for (const length of lengths) {
    const nearer = Math.abs(length - words.length) - Math.abs(referenceLength - words.length);
    if (nearer < 0 || (nearer === 0 && length < referenceLength)) referenceLength = length;
  }
  return { hypothesisLength: words.length, referenceLength, counts, totals };
}

/** Statistics of segments together. */
export function summed(segments: Iterable<SegmentStatistics>, order: number): SegmentStatistics {
  let [hypothesisLength, referenceLength] = [0, 0];
  const counts = new Array<number>(order).fill(0);
  const totals = new Array<number>(order).fill(0);
  for (const segment of segments) {
    hypothesisLength += segment.hypothesisLength;
    referenceLength += segment.referenceLength;
    for (let index = 0; index < order; index++) {
      counts[index]! += segment.counts[index]!;
      totals[index]! += segment.totals[index]!;
    }
  }
  return { hypothesisLength, referenceLength, counts, totals };
}
