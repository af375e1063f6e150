import { booleanOption, checkKeys, integerOption, nameOption, numberOption } from "../../options.ts";

/** How lines are cut into words before they are compared. */
export type BleuTokenizer = "13a" | "zh" | "char" | "none" | "intl";

/** What stands for a precision of 0. */
export type BleuSmoothing = "exp" | "floor" | "add-k" | "none";

/** Options of {@link bleu}; names, defaults and meaning are sacreBLEU's. */
export interface BleuOptions {
  /**
   * How lines are cut into words: `"13a"` as mteval-v13a does for western languages, `"zh"` the same with each Chinese character a word,
   * `"intl"` by Unicode's punctuation as mteval-v14, `"char"` into characters, `"none"` at white space. Default `"13a"`.
   */
  tokenize?: BleuTokenizer;
  /** Whether case is ignored, default `false`. */
  lowercase?: boolean;
  /**
   * What stands for a precision of 0: `"exp"` half of one n-gram, then a quarter, and so on; `"floor"` `smoothValue` n-grams; `"add-k"` adds
   * `smoothValue` to all counts of n-grams from the second order on; `"none"`: BLEU is 0. Default `"exp"`. Without any match BLEU is 0 in any case.
   */
  smoothMethod?: BleuSmoothing;
  /** The value of `"floor"`, default 0.1, or of `"add-k"`, default 1; at least 0. The others have none and ignore it. */
  smoothValue?: number;
  /** Whether orders of which the hypotheses have no n-gram are left out, default `false`; {@link sentenceBleu} `true`. */
  effectiveOrder?: boolean;
  /** Longest n-grams, in words; from 1 to 64, default 4. */
  maxNgramOrder?: number;
}

/** Checked options with defaults. */
export type CheckedBleu = Required<BleuOptions>;

/** Ways to cut lines into words. */
export const bleuTokenizerNames: readonly BleuTokenizer[] = ["13a", "zh", "char", "none", "intl"];
const smoothings: readonly BleuSmoothing[] = ["exp", "floor", "add-k", "none"];

/** Names of all options. */
export const bleuKeys: readonly (keyof BleuOptions)[] = [
  "tokenize",
  "lowercase",
  "smoothMethod",
  "smoothValue",
  "effectiveOrder",
  "maxNgramOrder",
];

/** What a method has for its value if none is given. */
const smoothDefaults: Readonly<Record<BleuSmoothing, number>> = { exp: 0, floor: 0.1, "add-k": 1, none: 0 };

/** Whether the method has a value. */
export function hasValue(smoothing: BleuSmoothing): boolean {
  return smoothing === "floor" || smoothing === "add-k";
}

/**
 * Checks options and fills them up.
 *
 * @throws OptionError if one is unknown or wrong.
 */
export function checkBleu(where: string, options: BleuOptions, effectiveOrder: boolean): CheckedBleu {
  checkKeys(where, options, bleuKeys);
  const smoothMethod = nameOption(where, "smoothMethod", options.smoothMethod ?? "exp", smoothings);
  return {
    tokenize: nameOption(where, "tokenize", options.tokenize ?? "13a", bleuTokenizerNames),
    lowercase: booleanOption(where, "lowercase", options.lowercase ?? false),
    smoothMethod,
    smoothValue: numberOption(where, "smoothValue", options.smoothValue ?? smoothDefaults[smoothMethod], 0),
    effectiveOrder: booleanOption(where, "effectiveOrder", options.effectiveOrder ?? effectiveOrder),
    maxNgramOrder: integerOption(where, "maxNgramOrder", options.maxNgramOrder ?? 4, 1),
  };
}
