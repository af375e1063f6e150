import type { ItemPlace } from "../../data/blocks.ts";
import { Dataset } from "../../data/dataset.ts";
import { ParallelText, type TextPair } from "../../data/parallel-text.ts";
import type { Tokenizer } from "../../data/tokenizer.ts";
import { DataError, OptionError } from "../../errors.ts";
import { lengthOf } from "./batches.ts";
import { type EncodedPair, EncodedPairs } from "./encoded-pairs.ts";
import type { PairSampling, RegularizedCutting } from "./subword-regularization.ts";

export type { EncodedPair };

/** Sentence pairs: from a reader, a list of objects or of two-element arrays, or a dataset of objects. */
export type Pairs = ParallelText | Iterable<TextPair | readonly [source: string, target: string]> | Dataset<TextPair>;

/** Ids around a target. */
export interface TargetFrame {
  readonly begin: number;
  readonly end: number;
}

/** How the texts of training are cut at random. */
export interface RandomCutting {
  readonly cutting: RegularizedCutting;
  /** Most positions of a pair; one that is longer is cut in the best way instead. */
  readonly longest: number;
  /** Whether the count of batches follows from the lengths of pairs, so that it is another one in each epoch. */
  readonly varies: boolean;
}

/** Pairs that are encoded in one call. */
const blockPairs = 4096;

/** Turns sentence pairs into ids. */
export class PairEncoder {
  readonly source: Tokenizer;
  readonly target: Tokenizer;
  readonly frame: TargetFrame;
  /** Whether sources have their end token, so that the empty text is no special case. */
  readonly sourceEnd: boolean;

  constructor(source: Tokenizer, target: Tokenizer, frame: TargetFrame, sourceEnd: boolean) {
    this.source = source;
    this.target = target;
    this.frame = frame;
    this.sourceEnd = sourceEnd;
  }

  encodeSource(text: string): Int32Array {
    return this.source.encode(text, { addEnd: this.sourceEnd });
  }

  /** Many pairs, on the compute threads. */
  async #encodeBlock(
    pairs: readonly TextPair[],
    signal: AbortSignal | undefined,
    sampling: PairSampling = {},
  ): Promise<EncodedPair[]> {
    const options = (side: keyof PairSampling) => ({
      ...(signal === undefined ? {} : { signal }),
      ...(sampling[side] === undefined ? {} : { sampling: sampling[side] }),
    });
    const [sources, targets] = await Promise.all([
      this.source.encodeBatch(
        pairs.map(({ source }) => source),
        { ...options("source"), addEnd: this.sourceEnd },
      ),
      this.target.encodeBatch(
        pairs.map(({ target }) => target),
        options("target"),
      ),
    ]);
    return pairs.map((_, index) => ({ source: sources.at(index), target: this.#framed(targets.at(index)) }));
  }

  /** Many pairs cut at random; those that become too long are cut in the best way, so that the same ones are learnt in each epoch. */
  async #drawBlock(
    pairs: readonly TextPair[],
    { epoch, first }: ItemPlace,
    { cutting, longest }: RandomCutting,
    signal: AbortSignal | undefined,
  ): Promise<EncodedPair[]> {
    const drawn = await this.#encodeBlock(pairs, signal, cutting.at(epoch, first));
    const long = [...drawn.keys()].filter((index) => lengthOf(drawn[index]!) > longest);
    if (long.length === 0) return drawn;
    const best = await this.#encodeBlock(
      long.map((index) => pairs[index]!),
      signal,
    );
    for (const [place, index] of long.entries()) drawn[index] = best[place]!;
    return drawn;
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
   * @param random - Cuts texts at random, anew in each epoch.
   * @throws OptionError if these are no pairs; DataError if none are left or a side is no string.
   */
  async dataset(
    where: string,
    pairs: Pairs,
    maxLength: number | undefined,
    signal: AbortSignal | undefined,
    random?: RandomCutting,
  ): Promise<Dataset<EncodedPair>> {
    const fits = fitting(maxLength);
    const store = () => new EncodedPairs();
    if (random !== undefined) {
      const draw = (block: readonly TextPair[], place: ItemPlace) => this.#drawBlock(block, place, random, signal);
      const all = pairs instanceof Dataset ? pairs : viewOf(where, textOf(where, pairs));
      return all.mapTogether(blockPairs, draw, store, random.varies).filter(fits);
    }
    if (pairs instanceof Dataset) {
      const encode = (block: readonly TextPair[]) => this.#encodeBlock(block, signal);
      return pairs.mapTogether(blockPairs, encode, store).filter(fits);
    }
    const text = textOf(where, pairs);
    const encoded = new EncodedPairs();
    for await (const block of this.blocks(where, text, maxLength, signal))
      for (const { ids } of block) encoded.push(ids);
    if (encoded.length === 0)
      throw text.length === 0 ? nothing(where) : new DataError(`${where}: all pairs are too long`);
    return Dataset.fromView(encoded);
  }

  /**
   * Pairs as texts and ids, many at a time; those with a side of more than `maxLength` tokens are left out.
   *
   * @throws OptionError if these are no pairs; DataError if a side is no string; the signal's reason after an abort.
   */
  async *blocks(
    where: string,
    pairs: Pairs,
    maxLength: number | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ text: TextPair; ids: EncodedPair }[]> {
    const fits = fitting(maxLength);
    for await (const block of blocks(pairs instanceof Dataset ? pairs : textOf(where, pairs))) {
      const ids = await this.#encodeBlock(block, signal);
      signal?.throwIfAborted();
      yield block.map((text, index) => ({ text, ids: ids[index]! })).filter((pair) => fits(pair.ids));
    }
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

/**
 * Pairs that can be run through again and again.
 *
 * @throws OptionError if these are none; DataError if a side is no string.
 */
export function textOf(where: string, pairs: Exclude<Pairs, Dataset<TextPair>>): ParallelText {
  if (typeof pairs !== "object" || pairs === null || !(Symbol.iterator in pairs)) {
    throw new OptionError(`${where}: expected sentence pairs: a ParallelText, a list or a Dataset`);
  }
  return pairs instanceof ParallelText ? pairs : ParallelText.from(pairs);
}

function nothing(where: string): DataError {
  return new DataError(`${where}: there are no sentence pairs`);
}

/** Pairs in memory as a dataset. */
function viewOf(where: string, text: ParallelText): Dataset<TextPair> {
  if (text.length === 0) throw nothing(where);
  return Dataset.fromView({ length: text.length, at: (index) => text.at(index)! });
}

/** Whether neither side of a pair is too long. */
function fitting(maxLength: number | undefined): (pair: EncodedPair) => boolean {
  return (pair) => maxLength === undefined || lengthOf(pair) <= maxLength;
}

/** Pairs in lists. */
async function* blocks(pairs: Iterable<TextPair> | AsyncIterable<TextPair>): AsyncGenerator<TextPair[]> {
  let block: TextPair[] = [];
  for await (const pair of pairs) {
    block.push(pair);
    if (block.length < blockPairs) continue;
    yield block;
    block = [];
  }
  if (block.length > 0) yield block;
}
