/** Rules of SQuAD's evaluation scripts. */
import type { AnswerValues } from "./answer-metric.ts";
import { letter, split } from "./words.ts";

const punctuation = /[!-/:-@[-`{-~]/gu;
const articles = new RegExp(`(?<!${letter})(?:a|an|the)(?!${letter})`, "gu");

/** Words in lower case, without ASCII punctuation and English articles. */
function wordsOf(text: string): string[] {
  return split(text.toLowerCase().replace(punctuation, "").replace(articles, " "));
}

/** F1 of the words of two texts, each as often as in both. */
function f1Of(answer: readonly string[], expected: readonly string[]): number {
  const left = new Map<string, number>();
  for (const word of expected) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of answer) {
    const times = left.get(word) ?? 0;
    if (times === 0) continue;
    left.set(word, times - 1);
    common += 1;
  }
  if (common === 0) return 0;
  const precision = common / answer.length;
  const recall = common / expected.length;
  return (2 * precision * recall) / (precision + recall);
}

function best(answer: string, expected: readonly (readonly string[])[], bothEmpty: number): AnswerValues {
  const own = wordsOf(answer);
  const joined = own.join(" ");
  const exact = expected.some((words) => words.join(" ") === joined);
  const values = expected.map((words) => (own.length === 0 && words.length === 0 ? bothEmpty : f1Of(own, words)));
  return { exactMatch: exact ? 1 : 0, f1: Math.max(...values) };
}

/** The rules of SQuAD 1.1. */
export function squad1Rules(answer: string, expected: readonly string[]): AnswerValues {
  return best(answer, expected.map(wordsOf), 0);
}

/** The rules of SQuAD 2.0: expected answers of which no word remains do not count; without any the answer must have no words. */
export function squadRules(answer: string, expected: readonly string[]): AnswerValues {
  const known = expected.map(wordsOf).filter((words) => words.length > 0);
  return best(answer, known.length === 0 ? [[]] : known, 1);
}
