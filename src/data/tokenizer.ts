import { setImmediate } from "node:timers/promises";
import { DataError, FormatError } from "../errors.ts";
import { booleanOption, checkKeys, checkSignal, integerOption, nameOption } from "../options.ts";
import { isCharacter, joinCharacters, splitCharacters } from "./tokenizers/characters.ts";
import { joinWords, splitWords } from "./tokenizers/words.ts";
import { Vocabulary } from "./vocabulary.ts";

/** How a {@link Tokenizer} cuts text: into words and punctuation marks, or into characters. */
export type TokenizerType = "word" | "character";

/** Options of {@link Tokenizer.train}. */
export interface TokenizerOptions {
  /**
   * `"word"`: words and punctuation marks, Chinese and Japanese characters one by one; decoding puts spaces back by rules.
   * `"character"`: code points; decoding gives the same text.
   */
  type: TokenizerType;
  /** Most entries of the vocabulary, its four special ones included; at least 5, default no limit. */
  vocabularySize?: number;
  /** How often a token must occur in the texts to get an id, at least 1; default 1. */
  minimumCount?: number;
  /** Whether text is put into lower case first, as GloVe's words are; default `false`. */
  lowercase?: boolean;
  /** Stops training; the rejection is its reason. */
  signal?: AbortSignal;
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Whether the begin token comes first; default `false`. */
  addBegin?: boolean;
  /** Whether the end token comes last; default `false`. */
  addEnd?: boolean;
}

/** How text is cut, joined again, and what tokens can occur. */
interface Scheme {
  split(text: string): string[];
  join(tokens: readonly string[]): string;
  canBe(token: string): boolean;
}

const schemes: Readonly<Record<TokenizerType, Scheme>> = {
  word: { split: splitWords, join: joinWords, canBe: (token) => !/\s/u.test(token) },
  character: { split: splitCharacters, join: joinCharacters, canBe: isCharacter },
};

const types = ["word", "character"] as const;

/** Texts read between two looks at the clock. */
const block = 64;
/** Milliseconds of counting after which other work of the process gets its turn. */
const turn = 4;

/** Turns text into ids and ids into text. Text is brought into Unicode's composed form (NFC) first. */
export class Tokenizer {
  /** How text is cut. */
  readonly type: TokenizerType;
  /** Whether text is put into lower case first. */
  readonly lowercase: boolean;
  /** The tokens and their ids. */
  readonly vocabulary: Vocabulary;
  readonly #scheme: Scheme;

  private constructor(type: TokenizerType, lowercase: boolean, vocabulary: Vocabulary) {
    this.type = type;
    this.lowercase = lowercase;
    this.vocabulary = vocabulary;
    this.#scheme = schemes[type];
  }

  /**
   * Counts the tokens of texts and makes a vocabulary of them.
   *
   * @param lines - The texts, such as `pairs.sources()`.
   * @param options - How text is cut, and which tokens get an id.
   * @throws OptionError if an option is wrong; DataError if a line is no string or no token is left.
   */
  static async train(lines: Iterable<string> | AsyncIterable<string>, options: TokenizerOptions): Promise<Tokenizer> {
    const where = "Tokenizer.train";
    checkKeys(where, options, ["type", "vocabularySize", "minimumCount", "lowercase", "signal"]);
    checkSignal(where, options.signal);
    const type = nameOption(where, "type", options.type, types);
    const lowercase = booleanOption(where, "lowercase", options.lowercase ?? false);
    const minimumCount = integerOption(where, "minimumCount", options.minimumCount ?? 1, 1);
    const limit =
      options.vocabularySize === undefined
        ? {}
        : { limit: integerOption(where, "vocabularySize", options.vocabularySize, 5) };
    const counts = new Map<string, number>();
    let number = 0;
    let since = performance.now();
    for await (const line of lines) {
      if (typeof line !== "string") throw new DataError(`${where}: line ${number} is a ${typeof line}, not a text`);
      for (const token of schemes[type].split(normalize(line, lowercase))) {
        counts.set(token, (counts.get(token) ?? 0) + 1);
      }
      number += 1;
      if (number % block === 0 && performance.now() - since > turn) {
        await setImmediate();
        options.signal?.throwIfAborted();
        since = performance.now();
      }
    }
    const vocabulary = Vocabulary.fromCounts(counts, { ...limit, minimumCount });
    if (vocabulary.tokens.length === 4) throw new DataError(`${where}: ${number} lines without a token to keep`);
    return new Tokenizer(type, lowercase, vocabulary);
  }

  /**
   * The tokenizer that {@link Tokenizer.toJSON} gave.
   *
   * @param json - Parsed JSON; it may come from anywhere.
   * @throws FormatError if it is none, or of an unknown version.
   */
  static fromJSON(json: unknown): Tokenizer {
    if (typeof json !== "object" || json === null) throw new FormatError("tokenizer: expected an object");
    const { format, version, type, lowercase, tokens } = json as Record<string, unknown>;
    if (format !== "sconce-tokenizer") throw new FormatError("tokenizer: this is no tokenizer of sconce");
    if (version !== 1) throw new FormatError(`tokenizer: version ${String(version)} is not known, only 1`);
    const known = types.find((name) => name === type);
    if (known === undefined) throw new FormatError(`tokenizer: type must be one of ${types.join(", ")}`);
    if (typeof lowercase !== "boolean") throw new FormatError("tokenizer: lowercase must be true or false");
    const vocabulary = Vocabulary.fromJSON(tokens);
    for (const [id, token] of vocabulary.tokens.entries()) {
      if (id > vocabulary.end && !schemes[known].canBe(token)) {
        throw new FormatError(`tokenizer: token ${id} ${JSON.stringify(token)} is no ${known}`);
      }
    }
    return new Tokenizer(known, lowercase, vocabulary);
  }

  /**
   * The tokens of a text, known or not.
   *
   * @param text - Any text.
   * @throws DataError if it is no string.
   */
  tokenize(text: string): string[] {
    if (typeof text !== "string") throw new DataError(`tokenize: expected a text, got ${typeof text}`);
    return this.#scheme.split(normalize(text, this.lowercase));
  }

  /**
   * The ids of a text.
   *
   * @param text - Any text; the empty one has no ids of its own.
   * @param options - Whether to add begin and end.
   * @returns Ids of `vocabulary`.
   * @throws DataError if it is no string.
   */
  encode(text: string, options: EncodeOptions = {}): Int32Array {
    checkKeys("encode", options, ["addBegin", "addEnd"]);
    const ids = this.tokenize(text).map((token) => this.vocabulary.id(token));
    if (options.addBegin) ids.unshift(this.vocabulary.begin);
    if (options.addEnd) ids.push(this.vocabulary.end);
    return Int32Array.from(ids);
  }

  /**
   * The text of ids. Padding, begin and end leave no trace; unknown shows as `<unk>`.
   *
   * @param ids - Ids of `vocabulary`.
   * @throws DataError if there is no such id.
   */
  decode(ids: ArrayLike<number>): string {
    const { padding, begin, end } = this.vocabulary;
    const tokens: string[] = [];
    for (let index = 0; index < ids.length; index++) {
      const id = ids[index]!;
      if (id !== padding && id !== begin && id !== end) tokens.push(this.vocabulary.token(id));
    }
    return this.#scheme.join(tokens);
  }

  /** What {@link Tokenizer.fromJSON} reads. */
  toJSON(): TokenizerDocument {
    const { type, lowercase, vocabulary } = this;
    return { format: "sconce-tokenizer", version: 1, type, lowercase, tokens: vocabulary.toJSON() };
  }
}

/** A {@link Tokenizer} as JSON. */
export interface TokenizerDocument {
  /** What this is. */
  format: "sconce-tokenizer";
  /** Version of the format. */
  version: 1;
  /** How text is cut. */
  type: TokenizerType;
  /** Whether text is put into lower case first. */
  lowercase: boolean;
  /** The vocabulary in the order of ids. */
  tokens: readonly string[];
}

/** Composed form, whole code points only, lower case on request. */
function normalize(text: string, lowercase: boolean): string {
  // Halves of surrogate pairs cannot be written to a file.
  const composed = text.replace(/\p{Surrogate}/gu, "\ufffd").normalize("NFC");
  // Lower case can decompose: the capital I with a dot becomes two code points.
  return lowercase ? composed.toLowerCase().normalize("NFC") : composed;
}
