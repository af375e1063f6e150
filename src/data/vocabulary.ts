import { DataError, FormatError } from "../errors.ts";
import { checkKeys, integerOption } from "../options.ts";

/** Tokens with a meaning of their own, and their ids. */
const specials = ["<pad>", "<unk>", "<s>", "</s>"] as const;

/**
 * How many they are.
 *
 * @internal
 */
export const specialCount = specials.length;

/** Options of {@link Vocabulary.fromCounts}. */
export interface VocabularyOptions {
  /** Most entries, the four special ones included; at least 5, default no limit. */
  limit?: number;
  /** How often a token must occur, at least 1; default 1. */
  minimumCount?: number;
}

/** Ids of tokens with a meaning of their own; -1 where there is none. */
export interface SpecialIds {
  /** What fills up short texts of a batch. */
  readonly padding: number;
  /** What is not in the vocabulary. */
  readonly unknown: number;
  /** The token before the first of a target. */
  readonly begin: number;
  /** The token after the last. */
  readonly end: number;
}

const usual: SpecialIds = { padding: 0, unknown: 1, begin: 2, end: 3 };

/**
 * Tokens and their ids. In vocabularies made here ids 0 to 3 are special: padding `<pad>`, unknown `<unk>`, begin `<s>` and
 * end `</s>`. Words and characters follow from frequent to rare, equally frequent ones by code point, so that the same text
 * gives the same vocabulary; byte pairs follow in the order of merging. A vocabulary that was read from `tokenizer.json`
 * may have special tokens elsewhere, and ids without a token, whose token is then the empty text.
 */
export class Vocabulary {
  /** All tokens, in the order of their ids. */
  readonly tokens: readonly string[];
  /** Id of padding, 0 unless a file says otherwise: what `maskZero` masks; -1 if there is none. */
  readonly padding: number;
  /** Id of what is not in the vocabulary, 1 unless a file says otherwise; -1 if there is none. */
  readonly unknown: number;
  /** Id of the token before the first of a target, 2 unless a file says otherwise; -1 if there is none. */
  readonly begin: number;
  /** Id of the token after the last, 3 unless a file says otherwise; -1 if there is none. */
  readonly end: number;
  readonly #ids: Map<string, number>;

  private constructor(tokens: readonly string[], { padding, unknown, begin, end }: SpecialIds = usual) {
    this.tokens = Object.freeze(tokens);
    this.#ids = new Map();
    // No list of pairs: there may be hundreds of thousands.
    for (let id = 0; id < tokens.length; id++) this.#ids.set(tokens[id]!, id);
    this.#ids.delete("");
    this.padding = padding;
    this.unknown = unknown;
    this.begin = begin;
    this.end = end;
  }

  /**
   * The vocabulary of tokens by id, which are known to be right; the list is kept, and frozen.
   *
   * @internal
   */
  static ofTokens(tokens: readonly string[], ids: SpecialIds): Vocabulary {
    return new Vocabulary(tokens, ids);
  }

  /**
   * The vocabulary of counted tokens.
   *
   * @param counts - How often each token occurs.
   * @param options - Limit and minimum count.
   * @throws OptionError if an option is out of range; DataError if a token is empty.
   */
  static fromCounts(counts: ReadonlyMap<string, number>, options: VocabularyOptions = {}): Vocabulary {
    checkKeys("Vocabulary.fromCounts", options, ["limit", "minimumCount"]);
    const minimum = integerOption("Vocabulary.fromCounts", "minimumCount", options.minimumCount ?? 1, 1);
    const limit =
      options.limit === undefined
        ? Number.POSITIVE_INFINITY
        : integerOption("Vocabulary.fromCounts", "limit", options.limit, specials.length + 1);
    const kept = [...counts].filter(([token, count]) => count >= minimum && !isSpecial(token));
    if (kept.some(([token]) => token === "")) throw new DataError("a vocabulary cannot hold an empty token");
    kept.sort(([a, countA], [b, countB]) => countB - countA || compareCodePoints(a, b));
    return new Vocabulary([...specials, ...kept.slice(0, limit - specials.length).map(([token]) => token)]);
  }

  /**
   * The vocabulary that {@link Vocabulary.toJSON} gave.
   *
   * @param json - Parsed JSON; it may come from anywhere.
   * @throws FormatError if it is none.
   */
  static fromJSON(json: unknown): Vocabulary {
    return new Vocabulary([...Vocabulary.checkTokens(json)]);
  }

  /**
   * The tokens of a vocabulary that {@link Vocabulary.toJSON} gave.
   *
   * @throws FormatError if it is none.
   * @internal
   */
  static checkTokens(json: unknown): readonly string[] {
    if (!Array.isArray(json)) throw new FormatError("vocabulary: expected a list of tokens");
    const seen = new Set<string>();
    for (let id = 0; id < json.length; id++) {
      const token: unknown = json[id];
      if (typeof token !== "string" || token === "") throw new FormatError(`vocabulary: token ${id} is no text`);
      if (seen.has(token)) throw new FormatError(`vocabulary: token ${id} ${JSON.stringify(token)} occurs twice`);
      seen.add(token);
    }
    for (const [id, token] of specials.entries()) {
      if (json[id] !== token) throw new FormatError(`vocabulary: token ${id} must be ${token}`);
    }
    return json as string[];
  }

  /** Count of tokens, the special ones included. */
  get size(): number {
    return this.tokens.length;
  }

  /** Whether a token has an id of its own. */
  has(token: string): boolean {
    return this.#ids.has(token);
  }

  /**
   * Id of a token.
   *
   * @param token - Any text.
   * @returns Its id, or that of unknown (-1 if there is none).
   */
  id(token: string): number {
    return this.#ids.get(token) ?? this.unknown;
  }

  /**
   * The token of an id.
   *
   * @param id - From 0 to below `size`.
   * @throws DataError if there is none.
   */
  token(id: number): string {
    const token = this.tokens[id];
    if (!token) throw new DataError(`id ${id} is not in a vocabulary of ${this.size} tokens`);
    return token;
  }

  /** The tokens, for `JSON.stringify`. */
  toJSON(): readonly string[] {
    return this.tokens;
  }
}

function isSpecial(token: string): boolean {
  return (specials as readonly string[]).includes(token);
}

/** By code points: the order of UTF-16 units puts rare planes before the end of the first. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    if (a.charCodeAt(index) !== b.charCodeAt(index)) return a.codePointAt(index)! - b.codePointAt(index)!;
  }
  return a.length - b.length;
}
