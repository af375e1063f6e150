import { isDeepStrictEqual } from "node:util";
import { Tokenizer, type TokenizerDocument } from "../../data/tokenizer.ts";
import { FormatError } from "../../errors.ts";
import type { Roles } from "./roles.ts";

/** What `seq2seq.json` holds, beside the files of the model. */
export interface Seq2SeqDocument {
  readonly format: "sconce-seq2seq";
  readonly version: 1;
  readonly source: TokenizerDocument;
  readonly target: TokenizerDocument;
  readonly encoderInput: number;
  readonly decoderInput: number;
  readonly output: number;
  /** Ids around a target. */
  readonly begin: number;
  readonly end: number;
  /** Whether sources are followed by their end token; absent: they are. */
  readonly sourceEnd?: boolean;
}

/** Name of the file. */
export const seq2seqFile = "seq2seq.json";

/** What a file gave. */
export interface ReadSeq2Seq {
  readonly source: Tokenizer;
  readonly target: Tokenizer;
  readonly choices: Pick<Roles, "encoderInput" | "decoderInput" | "output">;
  readonly begin: number;
  readonly end: number;
  readonly sourceEnd: boolean;
}

/**
 * Checks the content of `seq2seq.json`.
 *
 * @param text - The file; it may come from anywhere.
 * @throws FormatError if something is wrong with it.
 */
export function readSeq2SeqDocument(text: string): ReadSeq2Seq {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${seq2seqFile} is no JSON`, { cause: error });
  }
  if (typeof json !== "object" || json === null) throw new FormatError(`${seq2seqFile}: expected an object`);
  const fields = json as Record<string, unknown>;
  if (fields.format !== "sconce-seq2seq") throw new FormatError(`${seq2seqFile}: the format is not "sconce-seq2seq"`);
  if (fields.version !== 1)
    throw new FormatError(`${seq2seqFile}: version ${String(fields.version)} is not known, only 1`);
  const { sourceEnd = true } = fields;
  if (typeof sourceEnd !== "boolean") throw new FormatError(`${seq2seqFile}: sourceEnd must be true or false`);
  const source = Tokenizer.fromJSON(fields.source);
  // One tokenizer for both sides is in memory once.
  const target = isDeepStrictEqual(fields.target, fields.source) ? source : Tokenizer.fromJSON(fields.target);
  const number = (name: string, limit: number): number => {
    const value = fields[name];
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < limit) return value;
    throw new FormatError(`${seq2seqFile}: ${name} must be an integer from 0 to ${limit - 1}`);
  };
  return {
    source,
    target,
    choices: {
      encoderInput: number("encoderInput", 2),
      decoderInput: number("decoderInput", 2),
      output: number("output", 1024),
    },
    begin: number("begin", target.vocabulary.size),
    end: number("end", target.vocabulary.size),
    sourceEnd,
  };
}
