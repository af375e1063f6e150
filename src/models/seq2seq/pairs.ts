import { setImmediate } from "node:timers/promises";
import { Dataset } from "../../data/dataset.ts";
import { ParallelText, type TextPair } from "../../data/parallel-text.ts";
import type { Tokenizer } from "../../data/tokenizer.ts";
import { DataError, OptionError } from "../../errors.ts";

/** Sentence pairs: from a reader, a list of objects or of two-element arrays, or a dataset of objects. */
export type Pairs = ParallelText | Iterable<TextPair | readonly [source: string, target: string]> | Dataset<TextPair>;

/** A sentence pair as ids. */
export interface EncodedPair {
  /** The source and the end token. */
  readonly source: Int32Array;
  /** Begin token, target, end token. */
  readonly target: Int32Array;
}

/** Ids around a target. */
export interface TargetFrame {
  readonly begin: number;
  readonly end: number;
}

/** Texts encoded between two looks at the clock, and milliseconds after which other work gets its turn. */
const block = 64;
const turn = 4;

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
    const { begin, end } = this.frame;
    return { source: this.encodeSource(source), target: Int32Array.from([begin, ...this.target.encode(target), end]) };
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
    const encoded: EncodedPair[] = [];
    let number = 0;
    let since = performance.now();
    for (const pair of text) {
      const ids = this.encode(pair);
      if (fits(ids)) encoded.push(ids);
      number += 1;
      if (number % block === 0 && performance.now() - since > turn) {
        await setImmediate();
        signal?.throwIfAborted();
        since = performance.now();
      }
    }
    if (encoded.length === 0) {
      throw new DataError(number === 0 ? `${where}: there are no sentence pairs` : `${where}: all pairs are too long`);
    }
    return Dataset.from(encoded);
  }
}
