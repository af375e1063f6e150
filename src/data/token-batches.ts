import { DataError, OptionError } from "../errors.ts";
import { checkKeys, integerOption } from "../options.ts";

/** Size of the groups of `Dataset.batch` where it is told in tokens. */
export interface TokenBatchOptions<T> {
  /** The length of an item after padding alone, in positions. */
  length: (item: T) => number;
  /** Most positions in a batch, padding included: its items times its longest length. At least 1. */
  batchTokens: number;
}

/**
 * Cuts a sequence of items into groups of limited size, in order.
 *
 * @internal
 */
export class TokenGroups<T> {
  readonly #options: TokenBatchOptions<T>;
  #count = 0;
  #longest = 0;

  constructor(options: TokenBatchOptions<T>) {
    this.#options = options;
  }

  /**
   * Takes the next item.
   *
   * @returns Whether a group begins with it.
   * @throws DataError if it alone exceeds the limit, or its length is no number.
   */
  begins(item: T): boolean {
    const { length: lengthOf, batchTokens } = this.#options;
    const length = lengthOf(item);
    if (!(length >= 0))
      throw new DataError(`batch: the length of an item must be a number of at least 0, got ${length}`);
    if (length > batchTokens) {
      throw new DataError(`an item of length ${length} does not fit into a batch of ${batchTokens} tokens`);
    }
    const longest = Math.max(this.#longest, length);
    const begins = this.#count === 0 || (this.#count + 1) * longest > batchTokens;
    this.#count = begins ? 1 : this.#count + 1;
    this.#longest = begins ? length : longest;
    return begins;
  }
}

/**
 * Checks the options of `Dataset.batch`.
 *
 * @internal
 */
export function checkTokenBatch<T>(options: TokenBatchOptions<T>): TokenBatchOptions<T> {
  checkKeys("batch", options, ["length", "batchTokens"]);
  integerOption("batch", "batchTokens", options.batchTokens, 1);
  if (typeof options.length !== "function") {
    throw new OptionError("batch: length must be a function that gives the length of an item");
  }
  return options;
}
