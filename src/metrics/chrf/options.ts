import { booleanOption, checkKeys, integerOption, numberOption } from "../../options.ts";

/** Options of {@link chrf}; names, defaults and meaning are sacreBLEU's. */
export interface ChrfOptions {
  /** Longest n-grams of characters, from 1 to 64; default 6. */
  charOrder?: number;
  /** Longest n-grams of words, from 0 to 64; default 0, of chrF++ 2. */
  wordOrder?: number;
  /** How much more recall counts than precision, at least 0; default 2. */
  beta?: number;
  /** Whether case is ignored, default `false`. */
  lowercase?: boolean;
  /** Whether white space is among the characters, default `false`. */
  whitespace?: boolean;
  /** Whether all orders count, with a tiny number for 0, as chrF++.py has it; default `false`: those that both sides have. */
  epsSmoothing?: boolean;
}

/** Names of all options. */
export const chrfKeys: readonly (keyof ChrfOptions)[] = [
  "charOrder",
  "wordOrder",
  "beta",
  "lowercase",
  "whitespace",
  "epsSmoothing",
];

/**
 * Checks options and fills them up.
 *
 * @throws OptionError if one is unknown or wrong.
 */
export function checkChrf(where: string, options: ChrfOptions): Required<ChrfOptions> {
  checkKeys(where, options, chrfKeys);
  return {
    charOrder: integerOption(where, "charOrder", options.charOrder ?? 6, 1),
    wordOrder: integerOption(where, "wordOrder", options.wordOrder ?? 0, 0),
    beta: numberOption(where, "beta", options.beta ?? 2, 0),
    lowercase: booleanOption(where, "lowercase", options.lowercase ?? false),
    whitespace: booleanOption(where, "whitespace", options.whitespace ?? false),
    epsSmoothing: booleanOption(where, "epsSmoothing", options.epsSmoothing ?? false),
  };
}
