import { DataError, fromFile, OptionError } from "../errors.ts";
import { TokenizerHandle } from "../native.ts";
import type { EncodeSettings } from "../native-interface.ts";
import { checkKeys, checkSignal, integerOption } from "../options.ts";
import { languageOption } from "./detokenize.ts";
import { blocksOf, checkTexts, inBlocks, type Texts } from "./tokenizers/blocks.ts";
import { readDocument, type SpecialTokenNames, type TokenizerDocument } from "./tokenizers/document.ts";
import { EncodedTexts } from "./tokenizers/encoded.ts";
import { checkEncoding, type EncodeBatchOptions, type EncodeOptions, encodingKeys } from "./tokenizers/encoding.ts";
import { checkLoading, type LoadTokenizerOptions, type MergesFiles } from "./tokenizers/loading.ts";
import type { TokenizerOptions, TokenizerType } from "./tokenizers/options.ts";
import { TokenCounter, type TokenStatistics } from "./tokenizers/statistics.ts";
import { train } from "./tokenizers/training.ts";
import { type SpecialIds, Vocabulary } from "./vocabulary.ts";

export type { SpecialTokenNames, TokenizerDocument } from "./tokenizers/document.ts";
export type { EncodeBatchOptions, EncodeOptions, SubwordSampling } from "./tokenizers/encoding.ts";
export type { LoadTokenizerOptions, MergesFiles, TokenizerFormat } from "./tokenizers/loading.ts";
export type {
  Normalization,
  TokenizerOptions,
  TokenizerProgress,
  TokenizerType,
  TrainedTokenizerType,
} from "./tokenizers/options.ts";

/** What {@link Tokenizer.encodeWithSpans} gives. */
export interface EncodedSpans {
  /** Ids of the vocabulary. */
  readonly ids: Int32Array;
  /** For each id where its part of the text begins and ends: `[2 ids.length]`, in units of UTF-16, as of `String.slice`. */
  readonly spans: Int32Array;
}

/** Options of {@link Tokenizer.decode}. */
export interface DecodeOptions {
  /**
   * For `"word"` and `"wordPiece"`: joins words by the rules of a language, such as `"de"` or `"fr"`, as {@link detokenize} does. Default: rules for
   * English and Chinese.
   */
  language?: string;
}

/** Options of {@link Tokenizer.decodeBatch}. */
export interface DecodeBatchOptions extends DecodeOptions {
  /** Stops decoding; the rejection is its reason. */
  signal?: AbortSignal;
}

/** Options of {@link Tokenizer.statistics}. */
export interface StatisticsOptions {
  /** Most entries of `mostFrequent`, at least 0; default 20. */
  mostFrequent?: number;
  /** Stops counting; the rejection is its reason. */
  signal?: AbortSignal;
}

/** Rows decoded in one call of the addon. */
const decodedRows = 1024;

/** Turns text into ids and ids into text. */
export class Tokenizer {
  /** How text is cut. */
  readonly type: TokenizerType;
  /** Whether text is put into lower case first. */
  readonly lowercase: boolean;
  /** The tokens and their ids. */
  readonly vocabulary: Vocabulary;
  /** Whether it can cut texts at random: of type `"bpe"` with a `dropout`, of type `"unigram"` with an `alpha`. */
  readonly canSample: boolean;
  readonly #handle: TokenizerHandle;
  /** Whether version 1 of the format can hold it. */
  readonly #isWords: boolean;

  private constructor(handle: TokenizerHandle, isWords: boolean) {
    const { type, lowercase, tokens, canSample, ...ids } = JSON.parse(handle.describe()) as {
      type: TokenizerType;
      lowercase: boolean;
      tokens: string[];
      canSample: boolean;
    } & SpecialIds;
    this.type = type;
    this.lowercase = lowercase;
    this.vocabulary = Vocabulary.ofTokens(tokens, ids);
    this.#handle = handle;
    this.#isWords = isWords;
    this.canSample = canSample;
  }

  /**
   * Makes a vocabulary of texts, on the compute threads. Texts are read as they come and only their words are kept. The
   * same texts give the same tokenizer, in whatever order they come and for any number of threads.
   *
   * @param texts - The texts, such as `pairs.sources()`; of both sides for a joint vocabulary.
   * @param options - How text is cut, and which tokens get an id.
   * @throws OptionError if an option is wrong; DataError if a text is no string or no token is left.
   */
  static async train(texts: Texts, options: TokenizerOptions): Promise<Tokenizer> {
    const { handle, checked } = await train("Tokenizer.train", texts, options);
    const isUsual = checked.normalization === "nfc" && checked.specialTokens.length === 0 && !checked.chineseWords;
    return new Tokenizer(handle, (checked.type === "word" || checked.type === "character") && isUsual);
  }

  /**
   * Reads a tokenizer of another library; the end of the name tells the format, or `format` does.
   *
   * - `tokenizer.json`: the format of Hugging Face's `tokenizers`, models BPE, WordPiece, WordLevel and Unigram;
   * - `*.model`, `*.spm`: SentencePiece, unigram and byte pairs, which encodes and decodes as that library does;
   * - `*.txt`: the vocabulary of a BERT model, a token a line; `lowercase` says how its texts are cut;
   * - `{ vocabulary, merges }`: `vocab.json` and `merges.txt` of a model that cuts texts as GPT-2 does.
   *
   * Truncation, padding and post-processor of the file have no effect: `addBegin` and `addEnd` say what is added. The texts of
   * the tokens for padding, unknown, begin and end are ordinary text, as with `encode_special_tokens` there; other added
   * tokens are found in text.
   *
   * @param path - The file, of at most 64 MiB (SentencePiece: 16 MiB).
   * @param options - The format, and special tokens where their usual names do not tell.
   * @throws FileError if it cannot be read; FormatError if it is damaged or of an unknown kind; LimitError if it is too
   *   large; OptionError if a name is no token.
   */
  static async load(path: string | MergesFiles, options: LoadTokenizerOptions = {}): Promise<Tokenizer> {
    const { paths, format, names } = checkLoading("Tokenizer.load", path, options);
    return new Tokenizer(await TokenizerHandle.load(paths, format, JSON.stringify(names)), false);
  }

  /**
   * The tokenizer that {@link Tokenizer.toJSON} gave.
   *
   * @param json - Parsed JSON; it may come from anywhere.
   * @throws FormatError if it is none, or of an unknown version.
   */
  static fromJSON(json: unknown): Tokenizer {
    const { handle, isWords } = readDocument(json);
    return new Tokenizer(handle, isWords);
  }

  /**
   * Writes `tokenizer.json` in the format of Hugging Face's `tokenizers`, which encodes the same there: the file is written
   * beside its place and renamed. Rules by which words are joined when decoding are not part of the format.
   *
   * @param path - The file.
   * @throws FileError if it cannot be written.
   */
  async save(path: string): Promise<void> {
    if (typeof path !== "string") throw new OptionError("Tokenizer.save: the path must be a text");
    const { rename, rm, writeFile } = await import("node:fs/promises");
    const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
    try {
      await writeFile(temporary, this.#handle.document());
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw fromFile("cannot write", path, error);
    }
  }

  /**
   * The tokens of a text, known or not; of `"bpe"`, `"wordPiece"` and `"unigram"` those that have ids.
   *
   * @param text - Any text.
   * @throws DataError if it is no string.
   */
  tokenize(text: string): string[] {
    return this.#handle.tokenize(checkText("tokenize", text));
  }

  /**
   * The ids of a text, at once; for many texts `encodeBatch` is faster and leaves the event loop free.
   *
   * @param text - Any text; the empty one has no ids of its own.
   * @param options - Whether to add begin and end, how long it may be, whether to cut at random.
   * @returns Ids of `vocabulary`.
   * @throws DataError if it is no string; OptionError if an option is wrong, or the vocabulary has no begin or end token to add.
   */
  encode(text: string, options: EncodeOptions = {}): Int32Array {
    checkKeys("encode", options, encodingKeys);
    return this.#handle.encode(checkText("encode", text), this.#encoding("encode", options));
  }

  /**
   * The ids of a text and the part of it that each stands for, as in highlighting or when answers are looked for. Rules that
   * change a text are followed back; a space belongs to the token that it stands in, and bytes of one character all stand for
   * that character. Slower than `encode`, most of all for texts beyond ASCII.
   *
   * @param text - Any text; halves of surrogate pairs count as one unit.
   * @param options - Whether to add begin and end, which stand for nothing, and how long the result may be; not `sampling`.
   * @returns Ids of `vocabulary`; token `i` stands for `text.slice(spans[2 * i], spans[2 * i + 1])`.
   * @throws DataError if it is no string; OptionError if an option is wrong, or the vocabulary has no begin or end token to add.
   */
  encodeWithSpans(text: string, options: EncodeOptions = {}): EncodedSpans {
    const where = "encodeWithSpans";
    checkKeys(
      where,
      options,
      encodingKeys.filter((key) => key !== "sampling"),
    );
    const all = this.#handle.encodeSpans(checkText(where, text), this.#encoding(where, options));
    const count = all.length / 3;
    return { ids: all.subarray(0, count), spans: all.subarray(count) };
  }

  /**
   * The ids of many texts, on the compute threads.
   *
   * @param texts - Any texts.
   * @param options - Whether to add begin and end, how long texts may be, whether to cut at random.
   * @returns Ids of `vocabulary` in one array, in the order of the texts.
   * @throws DataError if a text is no string; LimitError if there are more than 2^31 ids; OptionError if an option is wrong, or
   *   the vocabulary has no begin or end token to add.
   */
  async encodeBatch(texts: Texts, options: EncodeBatchOptions = {}): Promise<EncodedTexts> {
    const parts: { ids: Int32Array; offsets: Int32Array }[] = [];
    await this.#encodeBlocks("encodeBatch", texts, options, (part) => parts.push(part));
    return EncodedTexts.join(parts);
  }

  /**
   * The text of ids. Padding, begin and end leave no trace; unknown shows as `<unk>`.
   *
   * @param ids - Ids of `vocabulary`.
   * @param options - How words are joined.
   * @throws DataError if there is no such id; OptionError if the language is no code of one, or tokens are no words.
   */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    checkKeys("decode", options, ["language"]);
    return this.#handle.decode(this.#checkIds(ids), this.#language("decode", options.language));
  }

  #language(where: string, language: string | undefined): string | undefined {
    if (language === undefined) return undefined;
    if (this.type === "word" || this.type === "wordPiece") return languageOption(where, language);
    throw new OptionError(`${where}: language is for tokenizers of words: of type "word" or "wordPiece"`);
  }

  /**
   * The texts of many rows of ids, on the compute threads.
   *
   * @param rows - What `encodeBatch` gave, or rows of ids.
   * @param options - How words are joined; cancellation.
   * @returns A text for each row.
   * @throws DataError if there is no such id, or offsets do not fit; OptionError as of {@link Tokenizer.decode}.
   */
  async decodeBatch(
    rows: EncodedTexts | Iterable<ArrayLike<number>>,
    options: DecodeBatchOptions = {},
  ): Promise<string[]> {
    checkKeys("decodeBatch", options, ["language", "signal"]);
    const language = this.#language("decodeBatch", options.language);
    checkSignal("decodeBatch", options.signal);
    options.signal?.throwIfAborted();
    const encoded =
      rows instanceof EncodedTexts ? rows : EncodedTexts.from(Array.from(rows, (row) => this.#checkIds(row)));
    const { ids, offsets } = encoded;
    const texts: string[] = [];
    const starts = Array.from({ length: Math.ceil(encoded.length / decodedRows) }, (_, index) => index * decodedRows);
    await inBlocks(
      starts,
      (start) => {
        const own = offsets.slice(start, start + decodedRows + 1);
        const [first = 0] = own;
        const part = ids.subarray(first, own.at(-1));
        return this.#handle.decodeBatch(
          part,
          own.map((offset) => offset - first),
          language,
          options.signal,
        );
      },
      (part) => {
        for (const text of part) texts.push(text);
      },
    );
    return texts;
  }

  /**
   * Counts what this tokenizer makes of texts, on the compute threads and in bounded memory.
   *
   * @param texts - Any texts.
   * @param options - How many frequent tokens to list.
   * @throws DataError if a text is no string; OptionError if an option is wrong.
   */
  async statistics(texts: Texts, options: StatisticsOptions = {}): Promise<TokenStatistics> {
    const where = "statistics";
    checkKeys(where, options, ["mostFrequent", "signal"]);
    const most = integerOption(where, "mostFrequent", options.mostFrequent ?? 20, 0);
    const counter = new TokenCounter(this.vocabulary);
    const { signal } = options;
    await this.#encodeBlocks(where, texts, signal === undefined ? {} : { signal }, ({ ids, offsets }) =>
      counter.add(ids, offsets),
    );
    return counter.statistics(most);
  }

  /** What {@link Tokenizer.fromJSON} reads. */
  toJSON(): TokenizerDocument {
    const { type, lowercase, vocabulary } = this;
    if (this.#isWords && (type === "word" || type === "character")) {
      return { format: "sconce-tokenizer", version: 1, type, lowercase, tokens: vocabulary.toJSON() };
    }
    const special: SpecialTokenNames = {};
    for (const name of ["padding", "unknown", "begin", "end"] as const) {
      if (vocabulary[name] >= 0) special[name] = vocabulary.token(vocabulary[name]);
    }
    return { format: "sconce-tokenizer", version: 2, special, tokenizer: JSON.parse(this.#handle.document()) };
  }

  #encoding(where: string, options: EncodeOptions): EncodeSettings {
    return checkEncoding(where, options, this.vocabulary, this.canSample ? this.type : undefined);
  }

  #checkIds(ids: ArrayLike<number>): Int32Array {
    if (ids instanceof Int32Array) return ids;
    const checked = Int32Array.from(ids);
    for (let index = 0; index < checked.length; index++) {
      if (checked[index] !== ids[index]) {
        throw new DataError(`id ${String(ids[index])} is not in a vocabulary of ${this.vocabulary.size} tokens`);
      }
    }
    return checked;
  }

  async #encodeBlocks(
    where: string,
    texts: Texts,
    options: EncodeBatchOptions,
    done: (part: { ids: Int32Array; offsets: Int32Array }) => void,
  ): Promise<void> {
    checkKeys(where, options, [...encodingKeys, "signal"]);
    checkSignal(where, options.signal);
    checkTexts(where, texts);
    const settings = this.#encoding(where, options);
    options.signal?.throwIfAborted();
    let { first } = settings;
    await inBlocks(
      blocksOf(where, texts),
      (block) => {
        const sent = this.#handle.encodeBatch(block, { ...settings, first }, options.signal);
        first += block.length;
        return sent;
      },
      done,
    );
  }
}

function checkText(where: string, text: unknown): string {
  if (typeof text !== "string") throw new DataError(`${where}: expected a text, got ${typeof text}`);
  return text;
}
