import { DataError, OptionError } from "../errors.ts";
import { detokenizeWords } from "../native.ts";
import { booleanOption, checkKeys } from "../options.ts";

/** Options of {@link detokenize}. */
export interface DetokenizeOptions {
  /**
   * Whose rules are followed: a code such as `"en"`, `"de"`, `"fr"`, `"it"`, `"zh"` or `"pt-BR"`; default `"en"`. Languages that have no rules of
   * their own get those that hold for all.
   */
  language?: string;
  /** Whether `&quot;`, `&apos;` and the other entities of Moses become characters; default `true`. */
  unescape?: boolean;
}

/**
 * Words and marks back to plain text, as the Moses scripts do it: marks, brackets and quotation marks stand where they belong, `@-@` joins what is
 * around it, and words of Chinese and Japanese characters have no spaces between them.
 *
 * @param tokens - Words and marks; a text is split at white space first.
 * @param options - The language, and whether entities are replaced.
 * @returns The text.
 * @throws DataError if a token is no string; OptionError if an option is wrong.
 * @see sacremoses 0.2, whose `MosesDetokenizer` this is but for `n't` and `’s`, which stand close to the word before in English, and the full-width
 *   marks of Chinese and Japanese, which have no spaces around them
 *
 * @example
 * ```ts
 * import { detokenize } from "sconce";
 *
 * console.log(detokenize('He is " well @-@ known " .')); // He is "well-known".
 * console.log(detokenize("Qu' est-ce que c' est ?", { language: "fr" })); // Qu'est-ce que c'est ?
 * ```
 */
export function detokenize(tokens: string | readonly string[], options: DetokenizeOptions = {}): string {
  const where = "detokenize";
  checkKeys(where, options, ["language", "unescape"]);
  const list: unknown = typeof tokens === "string" ? [tokens] : tokens;
  if (!Array.isArray(list)) throw new DataError(`${where}: expected a text or a list of tokens`);
  const wrong = list.findIndex((token) => typeof token !== "string");
  if (wrong >= 0) throw new DataError(`${where}: token ${wrong} is no text`);
  const unescapes = booleanOption(where, "unescape", options.unescape ?? true);
  return detokenizeWords([...(list as string[])], languageOption(where, options.language ?? "en"), unescapes);
}

/** The code of a language; throws OptionError. */
export function languageOption(where: string, language: unknown): string {
  if (typeof language === "string" && /^[a-z]{2,3}(?:[-_]|$)/i.test(language)) return language;
  throw new OptionError(`${where}: language must be a code such as "en" or "zh-CN", got ${JSON.stringify(language)}`);
}
