import { Turn } from "../../data/turn.ts";
import { environment } from "../../native.ts";
import type { CheckedTexts } from "./references.ts";

/** Fields of a signature, in sacreBLEU's order: those that all metrics have come first. */
export type SignatureFields = Readonly<Record<string, string | number | boolean>>;

/** Additive statistics of segments. */
export interface SegmentTable {
  /** Numbers of a segment. */
  readonly width: number;
  /** `[segments, width]`, row by row. */
  readonly rows: Float64Array;
}

/** What every score has. */
export interface Scored {
  /** The score. */
  readonly score: number;
}

/**
 * A metric of generated text with its options: a score that is made of numbers of segments that can be added up, so that segments can be
 * drawn from a corpus again and again without counting anew.
 */
export interface TextMetric<Score extends Scored = Scored> {
  /** Its name in errors. */
  readonly name: string;
  /** What is counted: by the addon, as JSON, or here. */
  readonly counts: object | ((hypothesis: string, references: readonly string[]) => readonly number[]);
  /** Numbers of a segment. */
  readonly width: number;
  /** The score of sums over some segments. */
  score(sums: Float64Array, segments: number): Score;
  /** How it was computed, beside counts of references and version. */
  readonly signature: SignatureFields;
}

/** How a score was computed, in sacreBLEU's form; `extra` says what was done besides. */
export function signatureOf({ signature }: TextMetric, counts: Uint32Array, extra: SignatureFields = {}): string {
  const all = new Set(counts);
  const fields: SignatureFields = {
    nrefs: all.size === 1 ? counts[0]! : "var",
    ...extra,
    ...signature,
    version: `sconce-${environment().version}`,
  };
  const shown = (value: string | number | boolean) => (typeof value === "boolean" ? (value ? "yes" : "no") : value);
  return Object.entries(fields)
    .map(([name, value]) => `${name}:${shown(value)}`)
    .join("|");
}

/** What `statistics` counts by functions of this side. */
export function countHere(metric: TextMetric, texts: CheckedTexts): Float64Array | undefined {
  const counting = countingHere(metric, texts);
  for (const _ of counting?.segments ?? []);
  return counting?.rows;
}

/** The same for `statisticsLater`: other work of the process gets its turns. */
export async function countHereLater(
  metric: TextMetric,
  texts: CheckedTexts,
  signal: AbortSignal | undefined,
): Promise<Float64Array | undefined> {
  const counting = countingHere(metric, texts);
  const turn = new Turn();
  for (const _ of counting?.segments ?? []) {
    const others = turn.count();
    if (others === undefined) continue;
    await others;
    signal?.throwIfAborted();
  }
  return counting?.rows;
}

/** Rows that are filled segment by segment. */
function countingHere({ counts: count, width }: TextMetric, texts: CheckedTexts) {
  if (typeof count !== "function") return undefined;
  const rows = new Float64Array(texts.hypotheses.length * width);
  const segments = (function* () {
    let start = 0;
    for (const [index, hypothesis] of texts.hypotheses.entries()) {
      const end = start + texts.counts[index]!;
      rows.set(count(hypothesis, texts.references.slice(start, end)), index * width);
      start = end;
      yield;
    }
  })();
  return { rows, segments };
}
