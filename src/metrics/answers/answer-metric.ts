import type { TextMetric } from "../text/text-metric.ts";
import { cmrcRules } from "./cmrc-rules.ts";
import { squadRules } from "./squad-rules.ts";

/** What an answer is worth, from 0 to 1. */
export interface AnswerValues {
  /** 1 if it is one of the expected answers, but for case and punctuation. */
  readonly exactMatch: number;
  /** Harmonic mean of precision and recall of its words, of the expected answer where that is largest. */
  readonly f1: number;
}

/** Compares an answer with those that are expected, of which there is at least one. */
export type AnswerRules = (answer: string, expected: readonly string[]) => AnswerValues;

const rules: Readonly<Record<"squad" | "cmrc", AnswerRules>> = { squad: squadRules, cmrc: cmrcRules };

/** A metric of answers: its mean over the segments, in hundredths. */
export function answerMetric(kind: "squad" | "cmrc", value: keyof AnswerValues): (where: string) => TextMetric {
  return () => ({
    name: kind,
    counts: (answer, expected) => [rules[kind](answer, expected)[value]],
    width: 1,
    score: (sums, segments) => ({ score: (100 * sums[0]!) / segments }),
    signature: { rules: kind === "squad" ? "squad-2.0" : "cmrc-2018" },
  });
}
