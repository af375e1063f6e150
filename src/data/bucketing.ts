import { DataError, OptionError } from "../errors.ts";
import { checkKeys, integerOption } from "../options.ts";
import { permutationOf } from "./random.ts";

/** Options of `Dataset.bucketByLength`. */
export interface BucketOptions<T> {
  /** The length of an item after padding alone, in positions. */
  length: (item: T) => number;
  /** Items in a batch; exclusive with `batchTokens`. */
  batchSize?: number;
  /** Most positions in a batch, padding included: its items times its longest length. */
  batchTokens?: number;
  /** Seed of the orders, an integer of at least 0; without one batches come from short to long. */
  seed?: number;
  /** Items bucketed together where the data come from an iterable; default 10000. */
  window?: number;
}

/** Batches of items, by index. */
export interface Buckets {
  /** Count of batches. */
  readonly length: number;
  /** Indices of the items of a batch. */
  at(index: number): Uint32Array;
}

/** Cuts items of these lengths into batches. */
export type CutBuckets = (lengths: Float64Array, epoch: number) => Promise<Buckets>;

/**
 * How items are cut into batches of similar length.
 *
 * @internal
 */
export function cutBuckets<T>(options: BucketOptions<T>): CutBuckets {
  checkKeys("bucketByLength", options, ["length", "batchSize", "batchTokens", "seed", "window"]);
  const { batchSize, batchTokens, seed } = options;
  if ((batchSize === undefined) === (batchTokens === undefined)) {
    throw new OptionError("bucketByLength: give either batchSize or batchTokens");
  }
  if (batchSize !== undefined) integerOption("bucketByLength", "batchSize", batchSize, 1);
  if (batchTokens !== undefined) integerOption("bucketByLength", "batchTokens", batchTokens, 1);
  if (seed !== undefined) integerOption("bucketByLength", "seed", seed, 0);

  return async (lengths, epoch) => {
    // Shuffled first: the sort is stable, so equal lengths meet other neighbours in each epoch.
    const order =
      seed === undefined
        ? Uint32Array.from(lengths, (_, index) => index)
        : await permutationOf(seed, 2 * epoch, lengths.length);
    const sorted = sortedBy(lengths, order);
    // Where each batch begins; numbers in one array, because there may be a million batches.
    const starts = [0];
    for (let end = 0; end < sorted.length; end++) {
      const length = lengths[sorted[end]!]!;
      if (batchTokens !== undefined && length > batchTokens) {
        throw new DataError(`an item of length ${length} does not fit into a batch of ${batchTokens} tokens`);
      }
      const count = end - starts.at(-1)!;
      const full = batchSize === undefined ? (count + 1) * length > (batchTokens ?? 0) : count === batchSize;
      if (full) starts.push(end);
    }
    const count = sorted.length === 0 ? 0 : starts.length;
    const places = seed === undefined ? undefined : await permutationOf(seed, 2 * epoch + 1, count);
    return {
      length: count,
      at(index) {
        const place = places?.[index] ?? index;
        return sorted.subarray(starts[place], starts[place + 1] ?? sorted.length);
      },
    };
  };
}

/** Lengths above which they are compared instead of counted. */
const mostCounted = 1 << 16;

/** Items from short to long; those of equal length stay in order. */
function sortedBy(lengths: Float64Array, order: Uint32Array): Uint32Array {
  let largest = 0;
  for (const length of lengths) {
    // Also what is no number at all: the comparison decides what comes of it.
    if (!(Number.isInteger(length) && length >= 0 && length < mostCounted)) {
      return Uint32Array.from([...order].sort((a, b) => lengths[a]! - lengths[b]!));
    }
    if (length > largest) largest = length;
  }
  const next = new Uint32Array(largest + 2);
  for (const length of lengths) next[length + 1]! += 1;
  for (let length = 0; length < largest; length++) next[length + 1]! += next[length]!;
  const sorted = new Uint32Array(order.length);
  for (const item of order) {
    const length = lengths[item]!;
    sorted[next[length]!] = item;
    next[length]! += 1;
  }
  return sorted;
}
