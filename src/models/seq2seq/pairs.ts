import { Dataset } from "../../data/dataset.ts";
import { ParallelText, type TextPair } from "../../data/parallel-text.ts";
import type { Tokenizer } from "../../data/tokenizer.ts";
import { DataError, OptionError } from "../../errors.ts";
import { type EncodedPair, EncodedPairs } from "./encoded-pairs.ts";

export type { EncodedPair };

/** Sentence pairs: from a reader, a list of objects or of two-element arrays, or a dataset of objects. */
export type Pairs = ParallelText | Iterable<TextPair | readonly [source: string, target: string]> | Dataset<TextPair>;

/** Ids around a target. */
export interface TargetFrame {
  readonly begin: number;
  readonly end: number;
}

/** Pairs that are encoded in one call. */
const blockPairs = 4096;

/** Turns sentence pairs into ids. */
export class PairEncoder {
  readonly source: Tokenizer;
  readonly target: Tokenizer;
  readonly frame: TargetFrame;

  constructor(source: Tokenizer, target: Tokenizer, frame: TargetFrame) {
    this.source = source;
    this.target = target;
    this.frame = frame;
  }

  /** A source always has its end token, so that the empty text is no special case. */
  encodeSource(text: string): Int32Array {
    return this.source.encode(text, { addEnd: true });
  }

  /** Both sides of a pair. */
  encode({ source, target }: TextPair): EncodedPair {
    return { source: this.encodeSource(source), target: this.#framed(this.target.encode(target)) };
  }

  /** Many pairs, on the compute threads. */
  async #encodeBlock(pairs: readonly TextPair[], signal: AbortSignal | undefined): Promise<EncodedPair[]> {
    const options = signal === undefined ? {} : { signal };
    const [sources, targets] = await Promise.all([
      this.source.encodeBatch(
        pairs.map(({ source }) => source),
        { ...options, addEnd: true },
      ),
      this.target.encodeBatch(
        pairs.map(({ target }) => target),
        options,
      ),
    ]);
    return pairs.map((_, index) => ({ source: sources.at(index), target: this.#framed(targets.at(index)) }));
  }

  #framed(ids: Int32Array): Int32Array {
    const framed = new Int32Array(ids.length + 2);
    framed[0] = this.frame.begin;
    framed.set(ids, 1);
    framed[ids.length + 1] = this.frame.end;
    return framed;
  }

  /**
   * Pairs as ids; those with a side of more than `maxLength` tokens are left out.
   *
   * @throws OptionError if these are no pairs; DataError if none are left or a side is no string.
   */
  async dataset(
    where: string,
    pairs: Pairs,
    maxLength: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Dataset<EncodedPair>> {
    const fits = ({ source, target }: EncodedPair) =>
      maxLength === undefined || (source.length <= maxLength && target.length - 1 <= maxLength);
    if (pairs instanceof Dataset) return pairs.map((pair) => this.encode(pair)).filter(fits);
    if (typeof pairs !== "object" || pairs === null || !(Symbol.iterator in pairs)) {
      throw new OptionError(`${where}: expected sentence pairs: a ParallelText, a list or a Dataset`);
    }
    const text = pairs instanceof ParallelText ? pairs : ParallelText.from(pairs);
    const encoded = new EncodedPairs();
    for (const block of blocks(text)) {
      for (const ids of await this.#encodeBlock(block, signal)) if (fits(ids)) encoded.push(ids);
      signal?.throwIfAborted();
    }
    if (encoded.length === 0) {
      throw new DataError(
        text.length === 0 ? `${where}: there are no sentence pairs` : `${where}: all pairs are too long`,
      );
    }
    return Dataset.fromView(encoded);
  }

  /**
   * The ids of a dataset in memory, read once.
   *
   * @throws DataError if there are none; the signal's reason after an abort.
   */
  async kept(
    where: string,
    pairs: Dataset<EncodedPair>,
    signal: AbortSignal | undefined,
  ): Promise<Dataset<EncodedPair>> {
    const encoded = new EncodedPairs();
    for await (const pair of pairs) {
      encoded.push(pair);
      signal?.throwIfAborted();
    }
    if (encoded.length === 0) throw new DataError(`${where}: there are no sentence pairs that are short enough`);
    return Dataset.fromView(encoded);
  }
}

/** Pairs in lists. */
function* blocks(pairs: Iterable<TextPair>): Generator<TextPair[]> {
  let block: TextPair[] = [];
  for (const pair of pairs) {
    block.push(pair);
    if (block.length < blockPairs) continue;
    yield block;
    block = [];
  }
  if (block.length > 0) yield block;
}
