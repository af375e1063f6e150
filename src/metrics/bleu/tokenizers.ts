/** How a line becomes words: names and rules of sacreBLEU 2. */

/** How lines are cut into words before they are compared. */
export type BleuTokenizer = "13a" | "zh" | "char" | "none" | "intl";

// What Python takes for white space: not what `\s` means here.
const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const runs = new RegExp(`[${space}]+`, "gu");
const end = new RegExp(`[${space}]+$`, "u");
const ends = new RegExp(`^[${space}]+|[${space}]+$`, "gu");

function words(line: string): string[] {
  const trimmed = line.replace(ends, "");
  return trimmed === "" ? [] : trimmed.split(runs);
}

/** Patterns and what stands for them, one after the other. */
type Rules = readonly (readonly [pattern: RegExp, replacement: string])[];

function rewritten(line: string, rules: Rules): string {
  return rules.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), line);
}

/** ASCII punctuation alone; full stops and commas within numbers stay, and so do apostrophes and most hyphens. */
const western: Rules = [
  [/([{-~[-` -&(-+:-@/])/gu, " $1 "],
  [/([^0-9])([.,])/gu, "$1 $2 "],
  [/([.,])([^0-9])/gu, " $1 $2"],
  [/([0-9])(-)/gu, "$1 $2 "],
];

/** Marks of SGML, of which lines of evaluation campaigns were full. */
const marks: Rules = [
  [/<skipped>/gu, ""],
  [/-\n/gu, ""],
  [/\n/gu, " "],
  [/&quot;/gu, '"'],
  [/&amp;/gu, "&"],
  [/&lt;/gu, "<"],
  [/&gt;/gu, ">"],
];

/** Punctuation of any script, but for that within numbers, and symbols. */
const international: Rules = [
  [/(\P{N})(\p{P})/gu, "$1 $2 "],
  [/(\p{P})(\P{N})/gu, " $1 $2"],
  [/(\p{S})/gu, " $1 "],
];

/**
 * What sacreBLEU takes for a Chinese character. The range from U+2001 is wider than it was meant: there `"\u20000"` was written for
 * U+20000, so that dashes and quotation marks stand alone, and characters beyond U+FFFF do not. Published scores depend on it.
 */
const chinese =
  /([\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u4db5\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])/gu;

/** Cuts a line into words. */
export const bleuTokenizers: Readonly<Record<BleuTokenizer, (line: string) => string[]>> = {
  "13a": (line) => words(rewritten(` ${rewritten(line, marks)} `, western)),
  zh: (line) => words(rewritten(line.replace(ends, "").replace(chinese, " $1 "), western)),
  char: (line) => Array.from(line).filter((character) => words(character).length > 0),
  none: words,
  intl: (line) => words(rewritten(line, international)),
};

/** A line without the white space at its end. */
export function withoutEnd(line: string): string {
  return line.replace(end, "");
}
