import { type DataBatch, padSequences } from "../../data/example.ts";
import type { SubwordSampling, Tokenizer } from "../../data/tokenizer.ts";
import type { View } from "../../data/view.ts";
import { DataError, OptionError } from "../../errors.ts";

/** Texts of any length: a list, or an iterable that is run through once. */
export type Documents = Iterable<string>;

/**
 * Texts as a list.
 *
 * @throws OptionError if these are no texts; DataError if there are none.
 */
export function listOf(where: string, texts: Documents): string[] {
  if (typeof texts !== "object" || texts === null || !(Symbol.iterator in texts)) {
    throw new OptionError(`${where}: expected texts: a list or another iterable of strings`);
  }
  const list = [...texts];
  if (list.length === 0) throw new DataError(`${where}: there are no texts`);
  return list;
}

/** How texts are encoded. */
export interface StreamOptions {
  /** The id between texts. */
  readonly end: number;
  readonly signal: AbortSignal | undefined;
  /** How they are cut at random; default in the best way. */
  readonly sampling?: SubwordSampling;
}

/** A part of the texts: each token is what shall follow the one before it. */
export interface Block {
  /** Ids that are read. */
  readonly read: Int32Array;
  /** The id after each of them. */
  readonly next: Int32Array;
}

/** Ids of many texts, one after the other, with an end token before the first and after each. */
export class TokenStream {
  readonly #ids: Int32Array;

  private constructor(ids: Int32Array) {
    this.#ids = ids;
  }

  /**
   * Encodes texts.
   *
   * @throws DataError if one is no string.
   */
  static async of(
    texts: readonly string[],
    tokenizer: Tokenizer,
    { end, signal, sampling }: StreamOptions,
  ): Promise<TokenStream> {
    const encoded = await tokenizer.encodeBatch(texts, {
      ...(signal === undefined ? {} : { signal }),
      ...(sampling === undefined ? {} : { sampling }),
    });
    const ids = new Int32Array(encoded.ids.length + encoded.length + 1);
    ids[0] = end;
    let place = 1;
    for (const text of encoded) {
      ids.set(text, place);
      place += text.length + 1;
      ids[place - 1] = end;
    }
    return new TokenStream(ids);
  }

  /** Count of tokens that follow another one. */
  get tokens(): number {
    return this.#ids.length - 1;
  }

  /** Parts of so many tokens, the last one maybe shorter. */
  blocks(size: number): View<Block> {
    const ids = this.#ids;
    const at = (index: number): Block => {
      const start = index * size;
      const end = Math.min(start + size, ids.length - 1);
      return { read: ids.subarray(start, end), next: ids.subarray(start + 1, end + 1) };
    };
    return { length: Math.ceil(this.tokens / size), at };
  }

  /**
   * As many parts of equal length as rows, side by side: the first blocks of all parts, then the second ones, and so on, so that a
   * batch of `rows` blocks goes on where the one before ended. Blocks at the end of a part may be shorter, or empty.
   */
  streams(size: number, rows: number): View<Block> {
    const ids = this.#ids;
    const length = Math.ceil(this.tokens / rows);
    const at = (index: number): Block => {
      const row = index % rows;
      const part = Math.min((row + 1) * length, this.tokens);
      const start = Math.min(row * length + Math.floor(index / rows) * size, part);
      const end = Math.min(start + size, part);
      return { read: ids.subarray(start, end), next: ids.subarray(start + 1, end + 1) };
    };
    return { length: Math.ceil(length / size) * rows, at };
  }
}

/** Blocks as a batch, padded at their ends. */
export function batchOfBlocks(blocks: readonly Block[]): DataBatch {
  return {
    inputs: [padSequences(blocks.map(({ read }) => read))],
    targets: [padSequences(blocks.map(({ next }) => next))],
  };
}

/** Tokens of a batch that follow another one. */
export function tokensOfBlocks(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { next }) => sum + next.length, 0);
}
