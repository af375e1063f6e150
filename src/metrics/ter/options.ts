import { booleanOption, checkKeys } from "../../options.ts";

/** Options of {@link ter}; names, defaults and meaning are sacreBLEU's. */
export interface TerOptions {
  /** Whether punctuation is cut off words, and entities of XML are replaced; default `false`. */
  normalized?: boolean;
  /** Whether punctuation is removed, default `false`. */
  noPunct?: boolean;
  /** Whether these two also hold for Chinese and Japanese, of which each character is then a word; default `false`. */
  asianSupport?: boolean;
  /** Whether case counts, default `false`. */
  caseSensitive?: boolean;
}

/** Names of all options. */
export const terKeys: readonly (keyof TerOptions)[] = ["normalized", "noPunct", "asianSupport", "caseSensitive"];

/**
 * Checks options and fills them up.
 *
 * @throws OptionError if one is unknown or wrong.
 */
export function checkTer(where: string, options: TerOptions): Required<TerOptions> {
  checkKeys(where, options, terKeys);
  const flag = (name: keyof TerOptions) => booleanOption(where, name, options[name] ?? false);
  return {
    normalized: flag("normalized"),
    noPunct: flag("noPunct"),
    asianSupport: flag("asianSupport"),
    caseSensitive: flag("caseSensitive"),
  };
}
