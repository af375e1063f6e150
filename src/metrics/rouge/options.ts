import { OptionError } from "../../errors.ts";
import { booleanOption, checkKeys, nameOption } from "../../options.ts";

/** What {@link rouge} compares: n-grams of words, or longest common subsequences. */
export type RougeType = `rouge${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}` | "rougeL" | "rougeLsum";

/** How texts are cut into words before they are compared. */
export type RougeTokenizer = "default" | "zh";

/** How {@link rouge} cuts texts into words. */
export interface RougeWordOptions {
  /** Whether suffixes are cut off words of more than three letters, by Porter's rules as NLTK has them; default `false`. */
  useStemmer?: boolean;
  /**
   * How texts are cut into words: `"default"` as rouge-score, runs of `a` to `z` and digits in lower case, so that nothing remains of
   * Chinese; `"zh"` the same with each Chinese character a word. Default `"default"`.
   */
  tokenizer?: RougeTokenizer;
}

/** Options of {@link rouge}. */
export interface RougeOptions extends RougeWordOptions {
  /**
   * What is compared: `"rouge1"` to `"rouge9"` n-grams, `"rougeL"` the longest common subsequence, `"rougeLsum"` those of sentences, one
   * on each line. Default `["rouge1", "rouge2", "rougeL", "rougeLsum"]`.
   */
  types?: readonly RougeType[];
}

/** Names of the options that say how texts are cut into words. */
export const rougeKeys: readonly (keyof RougeWordOptions)[] = ["useStemmer", "tokenizer"];

const types: readonly RougeType[] = [
  ...([1, 2, 3, 4, 5, 6, 7, 8, 9] as const).map((n) => `rouge${n}` as const),
  "rougeL",
  "rougeLsum",
];

/**
 * Checks options and fills them up.
 *
 * @throws OptionError if one is unknown or wrong.
 */
export function checkRouge(where: string, options: RougeOptions): Required<RougeOptions> {
  checkKeys(where, options, ["types", ...rougeKeys]);
  const chosen = options.types ?? ["rouge1", "rouge2", "rougeL", "rougeLsum"];
  if (!Array.isArray(chosen) || chosen.length === 0) {
    throw new OptionError(`${where}: types must be a list of at least one name`);
  }
  return {
    types: [...new Set(chosen.map((type) => nameOption(where, "types", type, types)))],
    useStemmer: booleanOption(where, "useStemmer", options.useStemmer ?? false),
    tokenizer: nameOption(where, "tokenizer", options.tokenizer ?? "default", ["default", "zh"]),
  };
}
