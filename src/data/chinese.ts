import { DataError } from "../errors.ts";
import { segmentChinese as segment } from "../native.ts";
import { booleanOption, checkKeys } from "../options.ts";

/** Options of {@link segmentChinese}. */
export interface SegmentChineseOptions {
  /** Whether what is not in the dictionary may be a word too, found by a hidden Markov model; default `true`. */
  newWords?: boolean;
}

/**
 * The words of a Chinese text, as jieba finds them: by the most probable way to cut it into words of its dictionary.
 *
 * The dictionary is read at the first call, which takes a moment. A tokenizer that is trained with `chineseWords` cuts runs of Chinese
 * characters in this way, and everything else by its own rules.
 *
 * @param text - Any text; what is not Chinese is cut as jieba does.
 * @param options - Whether new words are looked for.
 * @returns The words, spaces and marks, which together are the text.
 * @throws DataError if it is no string; OptionError if an option is wrong.
 * @see jieba 0.42, whose `lcut(text, HMM=newWords)` this is, but that numbers with several points stay whole
 *
 * @example
 * ```ts
 * import { segmentChinese } from "sconce";
 *
 * console.log(segmentChinese("我来到北京清华大学").join(" ")); // 我 来到 北京 清华大学
 * ```
 */
export function segmentChinese(text: string, options: SegmentChineseOptions = {}): string[] {
  const where = "segmentChinese";
  checkKeys(where, options, ["newWords"]);
  if (typeof text !== "string") throw new DataError(`${where}: expected a text, got ${typeof text}`);
  return segment(text, booleanOption(where, "newWords", options.newWords ?? true));
}
