import type { Vocabulary } from "../vocabulary.ts";

/** What a tokenizer makes of texts: see {@link Tokenizer.statistics}. */
export interface TokenStatistics {
  /** Count of texts. */
  texts: number;
  /** Count of tokens, without begin and end. */
  tokens: number;
  /** Tokens of a text on average; 0 without texts. */
  meanLength: number;
  /** Tokens of the longest text. */
  maximumLength: number;
  /** Count of unknown tokens. */
  unknown: number;
  /** Share of tokens that are known, from 0 to 1; 1 without tokens. */
  coverage: number;
  /** Different tokens that occur, unknown not counted. */
  types: number;
  /** Share of the vocabulary that occurs, special tokens not counted, from 0 to 1. */
  vocabularyUse: number;
  /** The most frequent tokens and how often they occur, at most as many as asked for; ties by id. */
  mostFrequent: { token: string; id: number; count: number }[];
}

/** Counts tokens. */
export class TokenCounter {
  readonly #counts: Float64Array;
  readonly #vocabulary: Vocabulary;
  #texts = 0;
  #tokens = 0;
  #longest = 0;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#counts = new Float64Array(vocabulary.size);
  }

  /** Counts the ids of more texts. */
  add(ids: Int32Array, offsets: Int32Array): void {
    for (const id of ids) this.#counts[id]! += 1;
    this.#tokens += ids.length;
    this.#texts += offsets.length - 1;
    for (let row = 1; row < offsets.length; row++) {
      this.#longest = Math.max(this.#longest, offsets[row]! - offsets[row - 1]!);
    }
  }

  /** What was counted. */
  statistics(most: number): TokenStatistics {
    const { padding, unknown, begin, end } = this.#vocabulary;
    const isSpecial = (id: number) => id === padding || id === unknown || id === begin || id === end;
    const ids = Array.from(this.#counts.keys());
    const used = ids.filter((id) => this.#counts[id]! > 0 && id !== unknown);
    const usual = ids.filter((id) => !isSpecial(id) && this.#vocabulary.tokens[id] !== "");
    const unknowns = this.#counts[unknown] ?? 0;
    const usedUsual = usual.filter((id) => this.#counts[id]! > 0);
    const sorted = ids
      .filter((id) => this.#counts[id]! > 0)
      .sort((a, b) => this.#counts[b]! - this.#counts[a]! || a - b);
    return {
      texts: this.#texts,
      tokens: this.#tokens,
      meanLength: this.#texts === 0 ? 0 : this.#tokens / this.#texts,
      maximumLength: this.#longest,
      unknown: unknowns,
      coverage: this.#tokens === 0 ? 1 : 1 - unknowns / this.#tokens,
      types: used.length,
      vocabularyUse: usual.length === 0 ? 0 : usedUsual.length / usual.length,
      mostFrequent: sorted
        .slice(0, most)
        .map((id) => ({ token: this.#vocabulary.token(id), id, count: this.#counts[id]! })),
    };
  }
}
