const han = /\p{Script=Han}/gu;
const kana = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
const letters = /\p{L}/gu;

/** Whether texts are Chinese: most of their letters are Chinese characters, and none are kana. */
export function isChinese(texts: readonly string[]): boolean {
  let chinese = 0;
  let all = 0;
  for (const text of texts) {
    if (kana.test(text)) return false;
    chinese += text.match(han)?.length ?? 0;
    all += text.match(letters)?.length ?? 0;
  }
  return 2 * chinese > all;
}
