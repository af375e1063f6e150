import { DataError, OptionError } from "../errors.ts";
import { checkKeys, integerOption } from "../options.ts";
import { permutation } from "./random.ts";

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

/** Items of each batch, by index, for the lengths of all items. */
export type CutBuckets = (lengths: Float64Array, epoch: number) => Uint32Array[];

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

  return (lengths, epoch) => {
    // Shuffled first: the sort is stable, so equal lengths meet other neighbours in each epoch.
    const order =
      seed === undefined
        ? Uint32Array.from(lengths, (_, index) => index)
        : permutation(seed, 2 * epoch, lengths.length);
    const sorted = Uint32Array.from([...order].sort((a, b) => lengths[a]! - lengths[b]!));
    const batches: Uint32Array[] = [];
    let start = 0;
    for (let end = 0; end < sorted.length; end++) {
      const length = lengths[sorted[end]!]!;
      if (batchTokens !== undefined && length > batchTokens) {
        throw new DataError(`an item of length ${length} does not fit into a batch of ${batchTokens} tokens`);
      }
      const full =
        batchSize === undefined ? (end - start + 1) * length > (batchTokens ?? 0) : end - start === batchSize;
      if (full) {
        batches.push(sorted.slice(start, end));
        start = end;
      }
    }
    if (start < sorted.length) batches.push(sorted.slice(start));
    if (seed === undefined) return batches;
    return Array.from(permutation(seed, 2 * epoch + 1, batches.length), (index) => batches[index]!);
  };
}
