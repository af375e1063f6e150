import { OptionError } from "../../errors.ts";
import { booleanOption, checkKeys, checkSignal, integerOption, nameOption } from "../../options.ts";

/** How a tokenizer that is trained here cuts text: see {@link TokenizerOptions.type}. */
export type TrainedTokenizerType = "word" | "character" | "bpe" | "wordPiece" | "unigram";

/** How a tokenizer makes tokens. */
export type TokenizerType = TrainedTokenizerType;

/** Unicode normalisation of text before it is cut. */
export type Normalization = "none" | "nfc" | "nfd" | "nfkc" | "nfkd";

/** How far training has come. */
export interface TokenizerProgress {
  /**
   * `"count"`: texts are read and their words counted; `"merge"`: pairs are merged; `"prune"`: the many pieces of a unigram model
   * become fewer.
   */
  stage: "count" | "merge" | "prune";
  /** Texts read so far. */
  texts: number;
  /** Tokens of the vocabulary so far, which become fewer in `"prune"`; 0 while counting. */
  tokens: number;
  /** Most tokens of the vocabulary, if there is a limit. */
  vocabularySize?: number;
}

/** Options of {@link Tokenizer.train}. */
export interface TokenizerOptions {
  /**
   * `"word"`: words and punctuation marks, Chinese and Japanese characters one by one; decoding puts spaces back by rules.
   * `"character"`: code points; decoding gives the same text.
   * `"bpe"`: byte pairs, merged within words, numbers and runs of marks (each with the space before it), Chinese and Japanese
   * characters one by one; decoding gives the same text but for a space at its beginning.
   * `"wordPiece"`: parts of the words of `"word"`, those after the first marked by `##`, the longest first, as in BERT; a word
   * that has no parts is unknown; decoding joins parts and puts spaces back by rules.
   * `"unigram"`: pieces with probabilities, as in SentencePiece, within words, numbers, runs of marks and runs of Chinese and
   * Japanese characters (each with the space before it), cut in the most probable way; decoding as with `"bpe"`.
   */
  type: TrainedTokenizerType;
  /**
   * Most entries of the vocabulary, its special ones included; at least one more than these. Default 8000 for `"bpe"`,
   * `"wordPiece"` and `"unigram"`, else no limit.
   */
  vocabularySize?: number;
  /**
   * How often a word, a character, a pair or a piece must occur in the texts to get an id, at least 1; default 1.
   */
  minimumCount?: number;
  /**
   * Tokens that follow `<pad>`, `<unk>`, `<s>` and `</s>`, such as `<2zh>`. They are found in raw text, before anything
   * else happens to it; default none.
   */
  specialTokens?: readonly string[];
  /** Whether text is put into lower case first, as GloVe's words are; default `false`. */
  lowercase?: boolean;
  /** Unicode normalisation; default `"nfc"`: the composed form. */
  normalization?: Normalization;
  /** For `"bpe"`: whether to begin with bytes, as GPT-2 does, so that nothing is ever unknown; default `false`: characters. */
  byteLevel?: boolean;
  /**
   * Whether Chinese is cut into words first, by the dictionary and the rules of jieba: of `"word"` these are tokens, of the others nothing is
   * merged across their borders. Not for `"character"` and `byteLevel`; default `false`.
   */
  chineseWords?: boolean;
  /** Stops training; the rejection is its reason. */
  signal?: AbortSignal;
  /** Is told how far training has come, at most 20 times a second and at the end. What it throws ends training. */
  onProgress?: (progress: TokenizerProgress) => void;
}

const types = ["word", "character", "bpe", "wordPiece", "unigram"] as const;
const normalizations = ["none", "nfc", "nfd", "nfkc", "nfkd"] as const;

/** Checked options. */
export interface CheckedOptions {
  /** As the addon takes them. */
  readonly type: TrainedTokenizerType;
  readonly vocabularySize: number | null;
  readonly minimumCount: number;
  readonly specialTokens: readonly string[];
  readonly lowercase: boolean;
  readonly normalization: Normalization;
  readonly byteLevel: boolean;
  readonly chineseWords: boolean;
}

/** The options of training, complete; throws OptionError. */
export function checkOptions(where: string, options: TokenizerOptions): CheckedOptions {
  checkKeys(where, options, [
    "type",
    "vocabularySize",
    "minimumCount",
    "specialTokens",
    "lowercase",
    "normalization",
    "byteLevel",
    "chineseWords",
    "signal",
    "onProgress",
  ]);
  checkSignal(where, options.signal);
  if (options.onProgress !== undefined && typeof options.onProgress !== "function") {
    throw new OptionError(`${where}: onProgress must be a function`);
  }
  const type = nameOption(where, "type", options.type, types);
  const size = options.vocabularySize ?? (type === "word" || type === "character" ? undefined : 8000);
  const specialTokens = options.specialTokens ?? [];
  if (!Array.isArray(specialTokens) || specialTokens.some((token) => typeof token !== "string" || token === "")) {
    throw new OptionError(`${where}: specialTokens must be a list of texts that are not empty`);
  }
  return {
    type,
    vocabularySize: size === undefined ? null : integerOption(where, "vocabularySize", size, 5),
    minimumCount: integerOption(where, "minimumCount", options.minimumCount ?? 1, 1),
    specialTokens,
    lowercase: booleanOption(where, "lowercase", options.lowercase ?? false),
    normalization: nameOption(where, "normalization", options.normalization ?? "nfc", normalizations),
    byteLevel: booleanOption(where, "byteLevel", options.byteLevel ?? false),
    chineseWords: booleanOption(where, "chineseWords", options.chineseWords ?? false),
  };
}
