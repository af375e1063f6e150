/** How a line becomes words: the rules of NLTK's `NLTKWordTokenizer`, which CMRC's script cuts what is not Chinese with. */

/** What Python takes for white space: not what `\s` means here. */
export const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const spaces = new RegExp(`[${space}]+`, "gu");
const ends = new RegExp(`^[${space}]+|[${space}]+$`, "gu");

/** What lies between white space. */
export function split(text: string): string[] {
  const trimmed = strip(text);
  return trimmed === "" ? [] : trimmed.split(spaces);
}

/** A text without white space at its ends. */
export function strip(text: string): string {
  return text.replace(ends, "");
}

/** Letters, numbers and the underscore: what a word is of for Python's regular expressions. */
export const letter = "[\\p{L}\\p{N}_]";

/** Patterns and what stands for them, one after the other. */
type Rules = readonly (readonly [pattern: RegExp, replacement: string])[];

const apart = (pattern: string): Rules[number] => [new RegExp(pattern, "gu"), " $& "];
const alone = (first: string, second: string): Rules[number] => [
  new RegExp(`(?<!${letter})(${first})(${second})(?!${letter})`, "giu"),
  " $1 $2 ",
];

const openingQuotes: Rules = [
  apart("[«“‘„]|`+"),
  [/^"/u, "``"],
  apart("``"),
  [/([ ([{<])("|'{2})/gu, "$1 `` "],
  [new RegExp(`(?<!${letter})'(?!(?:re|ve|ll|m|t|s|d|n)(?!${letter}))(?=${letter})`, "giu"), "' "],
];

const punctuation: Rules = [
  [new RegExp(`([^.])(\\.)([\\])}>"'»”’ ]*)[${space}]*$`, "u"), "$1 $2 $3 "],
  [/([:,])(\P{Nd})/gu, " $1 $2"],
  [/([:,])(?=\n?$)/u, " $1 "],
  apart("\\.{2,}"),
  apart("[;@#$%&]"),
  apart("[\\u2012-\\u2015]"),
  [new RegExp(`([^.])(\\.)([\\])}>"']*)[${space}]*$`, "u"), "$1 $2$3 "],
  apart("[?!]"),
  [/([^'])' /gu, "$1 ' "],
  apart("\\*"),
  apart("[\\][(){}<>]"),
  apart("--"),
];

const closingQuotes: Rules = [
  apart("[»”’]"),
  apart("''"),
  [/"/gu, " '' "],
  [spaces, " "],
  [/([^' ])('[sS]|'[mM]|'[dD]|') /gu, "$1 $2 "],
  [/([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) /gu, "$1 $2 "],
];

const contractions: Rules = [
  alone("can", "not"),
  alone("d", "'ye"),
  alone("gim", "me"),
  alone("gon", "na"),
  alone("got", "ta"),
  alone("lem", "me"),
  alone("more", "'n"),
  [new RegExp(`(?<!${letter})(wan)(na)(?=[${space}])`, "giu"), " $1 $2 "],
  [new RegExp(` ('t)(is|was)(?!${letter})`, "giu"), " $1 $2 "],
];

function rewritten(text: string, rules: Rules): string {
  return rules.reduce((line, [pattern, replacement]) => line.replace(pattern, replacement), text);
}

/** The words and marks of a sentence. */
export function wordsOf(sentence: string): string[] {
  const opened = rewritten(sentence, [...openingQuotes, ...punctuation]);
  return split(rewritten(` ${opened} `, [...closingQuotes, ...contractions]));
}
