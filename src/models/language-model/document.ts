import { Tokenizer, type TokenizerDocument } from "../../data/tokenizer.ts";
import { FormatError } from "../../errors.ts";

/** What `language-model.json` holds, beside the files of the model. */
export interface LanguageModelDocument {
  readonly format: "sconce-language-model";
  readonly version: 1;
  readonly tokenizer: TokenizerDocument;
  /** Id between texts. */
  readonly end: number;
}

/** Name of the file. */
export const languageModelFile = "language-model.json";

/**
 * Checks the content of `language-model.json`.
 *
 * @param text - The file; it may come from anywhere.
 * @throws FormatError if something is wrong with it.
 */
export function readLanguageModelDocument(text: string): { tokenizer: Tokenizer; end: number } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${languageModelFile} is no JSON`, { cause: error });
  }
  if (typeof json !== "object" || json === null) throw new FormatError(`${languageModelFile}: expected an object`);
  const { format, version, tokenizer: document, end } = json as Record<string, unknown>;
  if (format !== "sconce-language-model") {
    throw new FormatError(`${languageModelFile}: the format is not "sconce-language-model"`);
  }
  if (version !== 1) throw new FormatError(`${languageModelFile}: version ${String(version)} is not known, only 1`);
  const tokenizer = Tokenizer.fromJSON(document);
  const { size } = tokenizer.vocabulary;
  if (typeof end !== "number" || !Number.isInteger(end) || end < 0 || end >= size) {
    throw new FormatError(`${languageModelFile}: end must be an integer from 0 to ${size - 1}`);
  }
  return { tokenizer, end };
}
