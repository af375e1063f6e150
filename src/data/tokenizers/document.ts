import { FormatError } from "../../errors.ts";
import { TokenizerHandle } from "../../native.ts";
import { specialCount, Vocabulary } from "../vocabulary.ts";
import type { CheckedOptions } from "./options.ts";

/** A word or character tokenizer with default options as JSON. */
export interface WordTokenizerDocument {
  /** What this is. */
  format: "sconce-tokenizer";
  /** Version of the format. */
  version: 1;
  /** How text is cut. */
  type: "word" | "character";
  /** Whether text is put into lower case first. */
  lowercase: boolean;
  /** The vocabulary in the order of ids. */
  tokens: readonly string[];
}

/** Any other tokenizer as JSON. */
export interface FileTokenizerDocument {
  /** What this is. */
  format: "sconce-tokenizer";
  /** Version of the format. */
  version: 2;
  /** Special tokens, where there are any. */
  special: SpecialTokenNames;
  /** The content of `tokenizer.json`. */
  tokenizer: Readonly<Record<string, unknown>>;
}

/** A {@link Tokenizer} as JSON. */
export type TokenizerDocument = WordTokenizerDocument | FileTokenizerDocument;

/** Tokens with a meaning of their own in a file, where their usual names (`<pad>`, `[PAD]`, `</s>`, `[SEP]`, ...) do not tell. */
export interface SpecialTokenNames {
  /** The token that fills up short texts. */
  padding?: string;
  /** The token for what is not in the vocabulary. */
  unknown?: string;
  /** The token before the first of a target. */
  begin?: string;
  /** The token after the last. */
  end?: string;
}

const types = ["word", "character"] as const;

/** Whether a token can come up at all. */
const canBe = {
  word: (token: string) => !/\s/u.test(token),
  character: (token: string) => token.length === (token.codePointAt(0)! > 0xffff ? 2 : 1),
};

/** The options of a document of version 1. */
export const wordOptions = (type: "word" | "character", lowercase: boolean): CheckedOptions => ({
  type,
  vocabularySize: null,
  minimumCount: 1,
  specialTokens: [],
  lowercase,
  normalization: "nfc",
  byteLevel: false,
  chineseWords: false,
});

/** What a document says, checked; the JSON may come from anywhere. */
export function readDocument(json: unknown): { handle: TokenizerHandle; isWords: boolean } {
  if (typeof json !== "object" || json === null) throw new FormatError("tokenizer: expected an object");
  const fields = json as Record<string, unknown>;
  if (fields.format !== "sconce-tokenizer") throw new FormatError("tokenizer: this is no tokenizer of sconce");
  if (fields.version === 2) return { handle: readFile(fields), isWords: false };
  if (fields.version !== 1) {
    throw new FormatError(`tokenizer: version ${String(fields.version)} is not known, only 1 and 2`);
  }
  const { type, lowercase, tokens } = fields;
  const known = types.find((name) => name === type);
  if (known === undefined) throw new FormatError(`tokenizer: type must be one of ${types.join(", ")}`);
  if (typeof lowercase !== "boolean") throw new FormatError("tokenizer: lowercase must be true or false");
  const checked = Vocabulary.checkTokens(tokens);
  if (checked.length <= specialCount) throw new FormatError("tokenizer: there are only special tokens");
  for (let id = specialCount; id < checked.length; id++) {
    if (!canBe[known](checked[id]!)) {
      throw new FormatError(`tokenizer: token ${id} ${JSON.stringify(checked[id])} is no ${known}`);
    }
  }
  const options = JSON.stringify(wordOptions(known, lowercase));
  return { handle: TokenizerHandle.ofTokens(options, checked), isWords: true };
}

function readFile({ special, tokenizer }: Record<string, unknown>): TokenizerHandle {
  if (typeof tokenizer !== "object" || tokenizer === null) throw new FormatError("tokenizer: there is no tokenizer");
  if (typeof special !== "object" || special === null) throw new FormatError("tokenizer: special must be an object");
  const names: Record<string, string> = {};
  for (const [key, name] of Object.entries(special)) {
    if (!["padding", "unknown", "begin", "end"].includes(key) || typeof name !== "string") {
      throw new FormatError(`tokenizer: special.${key} is not known or no text`);
    }
    names[key] = name;
  }
  try {
    return TokenizerHandle.parse(JSON.stringify(tokenizer), JSON.stringify(names));
  } catch (error) {
    // A name that is no token is the file's fault here.
    throw error instanceof Error && "code" in error && error.code === "OPTION"
      ? new FormatError(`tokenizer: ${error.message}`, { cause: error })
      : error;
  }
}
