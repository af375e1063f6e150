import type { BleuTokenizer } from "./tokenizers.ts";

const han = /\p{Script=Han}/gu;
const kana = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
const letters = /\p{L}/gu;

/** The tokenisation for texts of a language: `"zh"` if most letters are Chinese characters and none are kana, else `"13a"`. */
export function tokenizerFor(texts: readonly string[]): BleuTokenizer {
  let chinese = 0;
  let all = 0;
  for (const text of texts) {
    if (kana.test(text)) return "13a";
    chinese += text.match(han)?.length ?? 0;
    all += text.match(letters)?.length ?? 0;
  }
  return 2 * chinese > all ? "zh" : "13a";
}
