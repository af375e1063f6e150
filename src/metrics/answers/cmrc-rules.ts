/** Rules of the evaluation script of CMRC 2018. */
import type { AnswerValues } from "./answer-metric.ts";
import { strip, wordsOf } from "./words.ts";

const marks = new Set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』");
const chinese = /[\u4e00-\u9fa5]/u;

/** A text in lower case without marks. */
function withoutMarks(text: string): string[] {
  return Array.from(strip(text.toLowerCase())).filter((character) => !marks.has(character));
}

/** Chinese characters one by one, and words of what is between them. */
function segmentsOf(characters: readonly string[]): string[] {
  const segments: string[] = [];
  let other = "";
  for (const character of characters) {
    if (!chinese.test(character)) {
      other += character;
      continue;
    }
    segments.push(...wordsOf(other), character);
    other = "";
  }
  return [...segments, ...wordsOf(other)];
}

/** Length of the longest run that both have. */
function longestRun(one: readonly string[], other: readonly string[]): number {
  let longest = 0;
  let before = new Uint32Array(other.length + 1);
  for (const segment of one) {
    const row = new Uint32Array(other.length + 1);
    for (let index = 0; index < other.length; index++) {
      if (segment !== other[index]) continue;
      row[index + 1] = before[index]! + 1;
      longest = Math.max(longest, row[index + 1]!);
    }
    before = row;
  }
  return longest;
}

/** The rules of CMRC 2018: F1 of the longest run of characters and words that both have. */
export function cmrcRules(answer: string, expected: readonly string[]): AnswerValues {
  const own = withoutMarks(answer);
  const segments = segmentsOf(own);
  let [exactMatch, f1] = [0, 0];
  for (const text of expected) {
    const theirs = withoutMarks(text);
    if (theirs.join("") === own.join("")) exactMatch = 1;
    const other = segmentsOf(theirs);
    const run = longestRun(other, segments);
    if (run === 0) continue;
    const [precision, recall] = [run / segments.length, run / other.length];
    f1 = Math.max(f1, (2 * precision * recall) / (precision + recall));
  }
  return { exactMatch, f1 };
}
