import { DataError } from "../../errors.ts";

/** The ids of many texts in one array: what {@link Tokenizer.encodeBatch} gives. */
export class EncodedTexts implements Iterable<Int32Array> {
  /** All ids, text after text. */
  readonly ids: Int32Array;
  /** Where each text begins in `ids`, and the end of the last: one entry more than there are texts. */
  readonly offsets: Int32Array;

  /**
   * @param ids - All ids.
   * @param offsets - Where each text begins, ascending from 0 to the count of ids.
   */
  constructor(ids: Int32Array, offsets: Int32Array) {
    this.ids = ids;
    this.offsets = offsets;
  }

  /** Count of texts. */
  get length(): number {
    return Math.max(0, this.offsets.length - 1);
  }

  /**
   * The ids of one text, as a view of `ids`.
   *
   * @param index - From 0 to below `length`.
   * @throws DataError if there is no such text.
   */
  at(index: number): Int32Array {
    const [start, end] = [this.offsets[index], this.offsets[index + 1]];
    if (start === undefined || end === undefined) throw new DataError(`there is no text ${index} of ${this.length}`);
    return this.ids.subarray(start, end);
  }

  /** The ids of each text. */
  *[Symbol.iterator](): Generator<Int32Array, void> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  /** Several as one. */
  static join(parts: readonly { ids: Int32Array; offsets: Int32Array }[]): EncodedTexts {
    const [first] = parts;
    if (first !== undefined && parts.length === 1) return new EncodedTexts(first.ids, first.offsets);
    const ids = new Int32Array(parts.reduce((sum, part) => sum + part.ids.length, 0));
    const offsets = new Int32Array(parts.reduce((sum, part) => sum + part.offsets.length - 1, 1));
    let start = 0;
    let row = 1;
    for (const part of parts) {
      ids.set(part.ids, start);
      for (let index = 1; index < part.offsets.length; index++) offsets[row++] = start + part.offsets[index]!;
      start += part.ids.length;
    }
    return new EncodedTexts(ids, offsets);
  }

  /** Rows of ids as one array. */
  static from(rows: Iterable<ArrayLike<number>>): EncodedTexts {
    const parts = Array.from(rows, (row) => ({ ids: Int32Array.from(row), offsets: Int32Array.of(0, row.length) }));
    return EncodedTexts.join(parts);
  }
}
