import type { GenerateOptions } from "../../decoding/options.ts";
import { DataError, OptionError } from "../../errors.ts";

/** Options of `Seq2Seq.generate`. */
export interface TranslateOptions extends GenerateOptions {
  /**
   * What every translation begins with, or what each does: texts that are given, part of `text` and `tokens`, but not of the score and
   * not counted by `maxNewTokens`. Default none.
   */
  targetPrefix?: string | readonly string[];
}

/**
 * The beginning of each translation.
 *
 * @throws OptionError if there are more or fewer than texts; DataError if one is no string.
 */
export function prefixesOf(prefix: string | readonly string[] | undefined, count: number): readonly string[] {
  if (prefix === undefined) return [];
  const all: unknown = typeof prefix === "string" ? new Array<string>(count).fill(prefix) : prefix;
  if (!Array.isArray(all)) throw new OptionError("generate: targetPrefix must be a text, or one for each text");
  if (all.length !== count) {
    throw new OptionError(`generate: targetPrefix has ${all.length} texts for ${count} to be translated`);
  }
  if (all.some((text: unknown) => typeof text !== "string"))
    throw new DataError("generate: targetPrefix must hold texts");
  return all as string[];
}
