import type { TextMetricOptions } from "./metrics.ts";

const han = /\p{Script=Han}/gu;
const kana = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
const letters = /\p{L}/gu;

/** Whether texts are Chinese: most of their letters are Chinese characters, and none are kana. */
function isChinese(texts: readonly string[]): boolean {
  let chinese = 0;
  let all = 0;
  for (const text of texts) {
    if (kana.test(text)) return false;
    chinese += text.match(han)?.length ?? 0;
    all += text.match(letters)?.length ?? 0;
  }
  return 2 * chinese > all;
}

/** Options of metrics with the tokenizers that fit the references where they name none: Chinese is cut into characters. */
export function withTokenizersFor(references: readonly string[], options: TextMetricOptions): TextMetricOptions {
  const chinese = isChinese(references);
  return {
    ...options,
    bleu: { tokenize: chinese ? "zh" : "13a", ...options.bleu },
    rouge: { tokenizer: chinese ? "zh" : "default", ...options.rouge },
  };
}
