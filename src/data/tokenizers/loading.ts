import { OptionError } from "../../errors.ts";
import { booleanOption, checkKeys, nameOption } from "../../options.ts";
import type { SpecialTokenNames } from "./document.ts";

/** Formats of single files: see {@link Tokenizer.load}. */
export type TokenizerFormat = "tokenizerJson" | "sentencePiece" | "wordPiece";

/** The two files of a model that cuts texts as GPT-2 does. */
export interface MergesFiles {
  /** Tokens and their ids: `vocab.json`. */
  vocabulary: string;
  /** Pairs in the order of merging: `merges.txt`. */
  merges: string;
}

/** Options of {@link Tokenizer.load}. */
export interface LoadTokenizerOptions extends SpecialTokenNames {
  /** Format of the file; default: by the end of its name, `"tokenizerJson"` if that does not tell. */
  format?: TokenizerFormat;
  /**
   * For `"wordPiece"`: whether texts are put into lower case and lose their accents, as for BERT's "uncased" models; default
   * `true`.
   */
  lowercase?: boolean;
}

const formats = ["tokenizerJson", "sentencePiece", "wordPiece"] as const;

function formatOf(path: string): TokenizerFormat {
  if (/\.(?:model|spm)$/i.test(path)) return "sentencePiece";
  return /\.txt$/i.test(path) ? "wordPiece" : "tokenizerJson";
}

/** Files, format as the addon names it, and special tokens; throws OptionError. */
export function checkLoading(
  where: string,
  path: string | MergesFiles,
  options: LoadTokenizerOptions,
): { paths: string[]; format: string; names: SpecialTokenNames } {
  checkKeys(where, options, ["padding", "unknown", "begin", "end", "format", "lowercase"]);
  const { format, lowercase, ...names } = options;
  for (const [key, name] of Object.entries(names)) {
    if (typeof name !== "string") throw new OptionError(`${where}: ${key} must be a text`);
  }
  const isText = typeof path === "string";
  if (!isText) checkKeys(`${where}: path`, path, ["vocabulary", "merges"]);
  const paths: unknown[] = isText ? [path] : [path.vocabulary, path.merges];
  if (!paths.every((name) => typeof name === "string")) throw new OptionError(`${where}: the path must be a text`);
  if (!isText && format !== undefined) throw new OptionError(`${where}: vocabulary and merges have no other format`);
  const chosen = isText ? nameOption(where, "format", format ?? formatOf(path), formats) : "gpt2";
  if (lowercase !== undefined && chosen !== "wordPiece") {
    throw new OptionError(`${where}: lowercase is for files of the format "wordPiece"`);
  }
  const isLower = booleanOption(where, "lowercase", lowercase ?? true);
  return { paths, format: isLower ? chosen : `${chosen}Cased`, names };
}
