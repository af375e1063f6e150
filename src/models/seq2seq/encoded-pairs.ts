import { DataError, LimitError } from "../../errors.ts";

/** A sentence pair as ids. */
export interface EncodedPair {
  /** The source and the end token. */
  readonly source: Int32Array;
  /** Begin token, target, end token. */
  readonly target: Int32Array;
}

/** Ids of a part of the memory; the parts grow to it. */
const partSize = 1 << 21;
const firstSize = 1 << 12;

/**
 * Many sentence pairs in little more memory than their ids, 4 bytes each, need: 12 bytes for each pair beside them. Arrays of
 * their own would take some hundred.
 */
export class EncodedPairs {
  /** Ids one after the other; before each pair the lengths of its sides. */
  readonly #parts: Int32Array[] = [];
  /** Ids in the last part. */
  #used = 0;
  /** Where each pair begins: its part times {@link partSize} and its place there. */
  #starts = new Uint32Array(1024);
  #length = 0;

  /** Count of pairs. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds a pair, which is copied.
   *
   * @throws DataError if it is longer than a part of the memory; LimitError if there are too many ids.
   */
  push({ source, target }: EncodedPair): void {
    const size = source.length + target.length + 2;
    if (size > partSize) throw new DataError(`pair ${this.#length} has ${size} tokens, more than ${partSize}`);
    const part = this.#room(size);
    const start = (this.#parts.length - 1) * partSize + this.#used;
    if (start >= 2 ** 32)
      throw new LimitError(`more than 2^32 tokens in memory: read the pairs with streamParallelText`);
    part[this.#used] = source.length;
    part[this.#used + 1] = target.length;
    part.set(source, this.#used + 2);
    part.set(target, this.#used + 2 + source.length);
    this.#used += size;
    if (this.#length === this.#starts.length) {
      const more = new Uint32Array(Math.ceil(1.5 * this.#length));
      more.set(this.#starts);
      this.#starts = more;
    }
    this.#starts[this.#length] = start;
    this.#length += 1;
  }

  /** A pair by its index; its arrays are views that must not be changed. */
  at(index: number): EncodedPair {
    const start = this.#starts[index]!;
    const part = this.#parts[Math.floor(start / partSize)]!;
    const at = start % partSize;
    const middle = at + 2 + part[at]!;
    return { source: part.subarray(at + 2, middle), target: part.subarray(middle, middle + part[at + 1]!) };
  }

  /** The last part, with room for so many ids. */
  #room(size: number): Int32Array {
    const last = this.#parts.at(-1);
    if (last !== undefined && this.#used + size <= last.length) return last;
    if (last === undefined || this.#used + size > partSize) {
      const part = new Int32Array(last === undefined ? Math.max(firstSize, size) : partSize);
      this.#parts.push(part);
      this.#used = 0;
      return part;
    }
    const larger = new Int32Array(Math.min(partSize, Math.max(2 * last.length, this.#used + size)));
    larger.set(last.subarray(0, this.#used));
    this.#parts[this.#parts.length - 1] = larger;
    return larger;
  }
}
