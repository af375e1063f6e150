/**
 * Text as words and punctuation marks, close to how the texts of GloVe were cut: `don't` becomes `do n't`, `1,000.5` and
 * `well-known` stay whole. Characters of Chinese and Japanese are one token each.
 */

const ideograph = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]`;
const letter = String.raw`(?!${ideograph})[\p{L}\p{M}\p{N}_]`;

/** In this order: what an earlier alternative takes, no later one sees. */
const token = new RegExp(
  [
    String.raw`${ideograph}\p{M}*`,
    String.raw`(?:(?!${ideograph})\p{L}\.){2,}`, // p.m.
    String.raw`\p{N}+(?:[.,:]\p{N}+)+`, // 1,000.5 and 9:30
    String.raw`(?:${letter})+(?:[-'\u2019](?:${letter})+)*`,
    String.raw`\.{2,}`,
    String.raw`[^\s]`,
  ].join("|"),
  "gu",
);

/** The end of an English contraction. */
const contraction = /^(.+?)(n['\u2019]t|['\u2019](?:s|m|d|re|ve|ll))$/iu;
const contractionEnd = /^(?:n['\u2019]t|['\u2019](?:s|m|d|re|ve|ll))$/iu;

/** The words and marks of a text. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(token)) {
    const parts = contraction.exec(word);
    if (parts === null) words.push(word);
    else words.push(parts[1]!, parts[2]!);
  }
  return words;
}

// Full-width forms and the marks of Chinese and Japanese stand without spaces.
const unspaced = new RegExp(
  String.raw`^(?:${ideograph}|[\u2014\u2026\u3000-\u303f\u30a0-\u30ff\uff00-\uff65\uffe0-\uffee])`,
  "u",
);
const closing = /^[.,!?;:%)\]}\u00bb\u201d\u2019\u203a\u00b0]|^\.{2,}$/u;
const opening = /^[([{\u00ab\u201c\u2018\u2039\u00bf\u00a1$\u00a3\u20ac#]$/u;

/** A text of words and marks, with spaces where English and Chinese have them. */
export function joinWords(tokens: readonly string[]): string {
  let text = "";
  let quoted = false;
  let glue = true;
  for (const word of tokens) {
    const quote = word === '"';
    const attached = (quote && quoted) || closing.test(word) || contractionEnd.test(word) || unspaced.test(word);
    text += glue || attached ? word : ` ${word}`;
    if (quote) quoted = !quoted;
    glue = opening.test(word) || unspaced.test(word) || (quote && quoted);
  }
  return text;
}
