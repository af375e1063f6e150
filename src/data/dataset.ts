import { DataError, StateError } from "../errors.ts";
import { checkKeys, integerOption, numberOption } from "../options.ts";
import {
  advanced,
  type ChangeTogether,
  checkCursor,
  dropped,
  filtered,
  grouped,
  mapped,
  mappedTogether,
  type OpenBlocks,
  repeated,
  taken,
  windowed,
} from "./blocks.ts";
import { type BucketOptions, cutBuckets } from "./bucketing.ts";
import { DatasetIterator, type DatasetPosition, type Delivered } from "./dataset-iterator.ts";
import { type ArrayData, type Example, examplesOf } from "./example.ts";
import type { SplitOptions } from "./parallel-text.ts";
import { permutation, permutationOf } from "./random.ts";
import { innerEpoch, nothingToRepeat, repeatedView } from "./repetition.ts";
import { checkTokenBatch, type TokenBatchOptions, TokenGroups } from "./token-batches.ts";
import { Turn } from "./turn.ts";
import { finite, type View } from "./view.ts";

/** Options of {@link Dataset.shuffle}. */
export interface ShuffleOptions {
  /** Items that are shuffled among each other where the data come from an iterable; default 10000. Lists are shuffled as a whole. */
  window?: number;
}

type Source<T> =
  | { list: true; varies: boolean; open(epoch: number): View<T> | Promise<View<T>> }
  | { list: false; resumable: boolean; open: OpenBlocks<T> };

const defaultWindow = 10_000;
/** Shuffled items that are given on together. */
const shuffleSlice = 256;

/**
 * A sequence of items that can be read again for each epoch: examples, then batches.
 *
 * Every method gives a new dataset and reads nothing. The order of an epoch depends on the seeds and the epoch alone,
 * so that reading can go on at a saved {@link DatasetPosition}; only data from a plain iterable cannot.
 */
export class Dataset<T> implements AsyncIterable<T> {
  readonly #source: Source<T>;

  private constructor(source: Source<T>) {
    this.#source = source;
  }

  /**
   * A dataset of the items of a list.
   *
   * @param items - Copied, their content is not.
   */
  static from<T>(items: Iterable<T>): Dataset<T> {
    const list = [...items];
    return Dataset.fromView({ length: list.length, at: (index) => list[index]! });
  }

  /**
   * A dataset of the rows of arrays.
   *
   * @param inputs - One array for each input of the model, each `[rows, ...]`.
   * @param targets - One array for each output, each `[rows, ...]`; none for `predict`.
   * @throws DataError if the arrays differ in rows or do not fit their shapes.
   */
  static fromArrays(inputs: readonly ArrayData[], targets: readonly ArrayData[] = []): Dataset<Example> {
    const { length, at } = examplesOf(inputs, targets);
    return Dataset.fromView({ length, at });
  }

  /**
   * A dataset of the items of an iterable, which are not kept. Training on it cannot be resumed.
   *
   * @param iterable - Read once, for one epoch; or a function that gives it anew for each epoch.
   */
  static fromIterable<T>(
    iterable: AsyncIterable<T> | Iterable<T> | ((epoch: number) => AsyncIterable<T> | Iterable<T>),
  ): Dataset<T> {
    let used = false;
    return new Dataset({
      list: false,
      resumable: false,
      async *open(epoch) {
        if (typeof iterable !== "function") {
          if (used) {
            throw new StateError("the iterable was read already: pass a function that gives a new one for each epoch");
          }
          used = true;
        }
        const items = typeof iterable === "function" ? iterable(epoch) : iterable;
        for await (const item of items) yield { items: [item], cursor: undefined };
      },
    });
  }

  /**
   * A dataset of items by index.
   *
   * @internal
   */
  static fromView<T>(view: View<T>): Dataset<T> {
    return new Dataset({ list: true, varies: false, open: () => view });
  }

  /**
   * A dataset of items by index that are made anew in each epoch, more or fewer of them each time.
   *
   * @param open - Makes those of an epoch; the same ones whenever it is asked.
   * @internal
   */
  static fromViews<T>(open: (epoch: number) => Promise<View<T>>): Dataset<T> {
    return new Dataset({ list: true, varies: true, open });
  }

  /**
   * A dataset of items that are read anew in each epoch, from any place on.
   *
   * @internal
   */
  static fromBlocks<T>(open: OpenBlocks<T>): Dataset<T> {
    return new Dataset({ list: false, resumable: true, open });
  }

  /** Whether reading can go on at a saved position: false for data from a plain iterable. */
  get resumable(): boolean {
    return this.#source.list || this.#source.resumable;
  }

  /**
   * How many items an epoch has: the first one, where others may have more or less, as batches by tokens of shuffled items do.
   *
   * @returns The count, or `undefined` for data that are read anew in each epoch, or without end.
   */
  async count(): Promise<number | undefined> {
    if (!this.#source.list || this.#source.varies) return undefined;
    const { length } = await this.#source.open(0);
    return length === Number.POSITIVE_INFINITY ? undefined : length;
  }

  /**
   * Changes each item when it is read.
   *
   * @param change - Called anew in each epoch; must not depend on the order of calls.
   */
  map<U>(change: (item: T) => U | Promise<U>): Dataset<U> {
    return this.#derive<U>(
      async (view) => ({ length: view.length, at: async (index) => change(await view.at(index)) }),
      (open) => mapped(open, change),
    );
  }

  /**
   * Changes many items at a time. A list is changed as a whole at the start of each epoch and kept until the next one.
   *
   * @param size - Items that are changed together, at most.
   * @param change - Gives one for each, also by its number and the epoch; must not depend on how they are grouped.
   * @param store - Makes what keeps the items of a list.
   * @param varies - Whether epochs may have more or less of what is made of the items, such as batches by their lengths; default
   *   `false`.
   * @internal
   */
  mapTogether<U>(
    size: number,
    change: ChangeTogether<T, U>,
    store: () => View<U> & { push(item: U): void },
    varies = false,
  ): Dataset<U> {
    let last: { epoch: number; view: View<U> } | undefined;
    const made = this.#derive<U>(
      async (inner, epoch) => {
        if (last?.epoch === epoch) return last.view;
        // Not both at a time: they are large.
        last = undefined;
        const view = finite("bucketByLength", inner);
        const made = store();
        for (let start = 0; start < view.length; start += size) {
          const items = await collect(view, start, Math.min(view.length, start + size));
          for (const item of await change(items, { epoch, first: start })) made.push(item);
        }
        last = { epoch, view: made };
        return made;
      },
      (open) => mappedTogether(open, size, change),
    );
    const source = made.#source;
    return varies && source.list ? new Dataset({ ...source, varies }) : made;
  }

  /**
   * Keeps the items for which `keep` gives true. A list is run through once at the start of each epoch.
   *
   * @param keep - Must always give the same answer for the same item.
   * @throws StateError, while reading, if a list is repeated without end: filter before.
   */
  filter(keep: (item: T) => boolean | Promise<boolean>): Dataset<T> {
    return this.#derive<T>(
      async (view) => {
        const { length } = finite("filter", view);
        const at = (index: number) => view.at(index);
        const kept: number[] = [];
        for (let index = 0; index < length; index++) if (await keep(await at(index))) kept.push(index);
        return { length: kept.length, at: (index) => at(kept[index]!) };
      },
      (open) => filtered(open, keep),
    );
  }

  /**
   * The first items of each epoch.
   *
   * @param count - How many, an integer of at least 0; all if there are fewer.
   */
  take(count: number): Dataset<T> {
    integerOption("take", "count", count, 0);
    return this.#derive<T>(
      (view) => ({ length: Math.min(count, view.length), at: (index) => view.at(index) }),
      (open) => taken(open, count),
    );
  }

  /**
   * The items several times in each epoch; what was shuffled before comes in another order each time.
   *
   * Data without end need `stepsPerEpoch` in `Model.fit`, or {@link Dataset.take}. An iterable must be given as a function.
   *
   * @param count - How often, an integer of at least 1; default without end.
   * @throws While reading: DataError if there is nothing to repeat without end; StateError if the data come from an
   *   iterable that can be read once only.
   */
  repeat(count?: number): Dataset<T> {
    const passes = count === undefined ? Number.POSITIVE_INFINITY : integerOption("repeat", "count", count, 1);
    const source = this.#source;
    if (source.list)
      return new Dataset({ ...source, open: (epoch: number) => repeatedView(source.open, passes, epoch) });
    const epochOf = (epoch: number, pass: number) => innerEpoch(epoch, pass, passes);
    return new Dataset({ ...source, open: repeated(source.open, passes, epochOf, nothingToRepeat) });
  }

  /**
   * Another order in each epoch.
   *
   * @param seed - An integer of at least 0.
   * @param options - Window for iterables.
   * @throws OptionError if an option is wrong; StateError, while reading, if a list is repeated without end: shuffle before.
   */
  shuffle(seed: number, options: ShuffleOptions = {}): Dataset<T> {
    checkKeys("shuffle", options, ["window"]);
    integerOption("shuffle", "seed", seed, 0);
    return this.#windowed(
      "shuffle",
      async (view, epoch) => {
        const order = await permutationOf(seed, epoch, view.length);
        return { length: view.length, at: (index) => view.at(order[index]!) };
      },
      options.window,
      shuffleSlice,
    );
  }

  /** Items in groups, in order; the last group may be smaller. */
  batch(size: number | TokenBatchOptions<T>): Dataset<T[]>;
  /**
   * Items in groups, in order, each joined to a batch; the last group may be smaller.
   *
   * @param size - Items in a group, at least 1; or `{ length, batchTokens }` for as many items as do not exceed
   *   `batchTokens` when they are padded, for which a list is run through once at the start of each epoch.
   *   {@link Dataset.bucketByLength} needs less padding.
   * @param join - Makes a batch of a group, as {@link stack} does for examples.
   * @throws OptionError if the size is wrong; while reading, DataError if an item alone exceeds `batchTokens`, StateError
   *   if a list is repeated without end and batched by tokens.
   */
  batch<U>(size: number | TokenBatchOptions<T>, join: (items: T[]) => U): Dataset<U>;
  batch<U>(size: number | TokenBatchOptions<T>, join?: (items: T[]) => U): Dataset<T[] | U> {
    const groups = typeof size === "object" ? this.#tokenBatches(checkTokenBatch(size)) : this.#batches(size);
    return join === undefined ? groups : groups.map(join);
  }

  /**
   * Items of similar length in groups, so that padding is small. Lists are bucketed as a whole, data from an iterable
   * window by window. The order within equal lengths and the order of the groups change from epoch to epoch.
   *
   * @param options - Length of an item, size of a group, seed.
   * @param join - Makes a batch of a group.
   * @throws OptionError if the options are wrong; while reading, DataError if an item alone exceeds `batchTokens`.
   */
  bucketByLength<U>(options: BucketOptions<T>, join: (items: T[]) => U): Dataset<U> {
    const cut = cutBuckets(options);
    return this.#windowed<T[]>(
      "bucketByLength",
      async (view, epoch) => {
        const lengths = new Float64Array(view.length);
        const turn = new Turn();
        for (let index = 0; index < view.length; index++) {
          const item = view.at(index);
          lengths[index] = options.length(item instanceof Promise ? await item : item);
          const waiting = turn.count();
          if (waiting !== undefined) await waiting;
        }
        const buckets = await cut(lengths, epoch);
        return {
          length: buckets.length,
          at: (index) => Promise.all(Array.from(buckets.at(index), (item) => view.at(item))),
        };
      },
      options.window,
      1,
    ).map(join);
  }

  /**
   * Two datasets: a part and the rest, each in the order of this one.
   *
   * @param options - Size of the first part and how it is chosen.
   * @returns The chosen part and the rest.
   * @throws StateError for data from an iterable or without end.
   */
  async split(options: SplitOptions): Promise<[Dataset<T>, Dataset<T>]> {
    checkKeys("split", options, ["fraction", "count", "seed"]);
    if (!this.#source.list) throw new StateError("split: data from an iterable cannot be split");
    const view = finite("split", await this.#source.open(0));
    const wanted = options.count ?? Math.round(numberOption("split", "fraction", options.fraction, 0, 1) * view.length);
    const count = integerOption("split", "count", wanted, 1);
    if (count >= view.length)
      throw new DataError(`cannot split ${count} items off ${view.length}: nothing would be left`);
    const order =
      options.seed === undefined
        ? Uint32Array.from({ length: view.length }, (_, index) => index)
        : permutation(options.seed, 0, view.length);
    const part = (chosen: Uint32Array) => {
      const indices = chosen.slice().sort();
      return Dataset.fromView<T>({ length: indices.length, at: (index) => view.at(indices[index]!) });
    };
    return [part(order.subarray(0, count)), part(order.subarray(count))];
  }

  /**
   * The items of one epoch from a position on.
   *
   * @param position - Default the start of epoch 0.
   * @returns An iterator whose `position` can be saved at any time.
   * @throws StateError, at the first item, if the data come from an iterable and the position is within an epoch.
   */
  iterate(position: Partial<DatasetPosition> = {}): DatasetIterator<T> {
    const epoch = integerOption("iterate", "epoch", position.epoch ?? 0, 0);
    const step = integerOption("iterate", "step", position.step ?? 0, 0);
    const cursor = position.cursor === undefined ? {} : { cursor: checkCursor(position.cursor) };
    const start: DatasetPosition = { epoch, step, ...cursor };
    return new DatasetIterator(this.#read(start), start);
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.iterate();
  }

  /** Items, each with the cursor of the one after it. */
  async *#read({ epoch, step, cursor }: DatasetPosition): AsyncGenerator<Delivered<T>> {
    const source = this.#source;
    if (source.list) {
      const view = await source.open(epoch);
      const count = view.length === Number.POSITIVE_INFINITY ? undefined : view.length;
      for (let index = step; index < view.length; index++) yield { item: await view.at(index), next: undefined, count };
      return;
    }
    if (step > 0 && !source.resumable) {
      throw new StateError(
        `cannot go on at step ${step}: the data come from a plain iterable; use a list, arrays or ParallelText to resume`,
      );
    }
    // Without a cursor everything before is read again, which gives the same items.
    const blocks = cursor === undefined ? dropped(source.open(epoch, undefined), step) : source.open(epoch, cursor);
    for await (const { items, cursor: start } of blocks) {
      for (const [index, item] of items.entries()) yield { item, next: advanced(start, index + 1), count: undefined };
    }
  }

  #batches(size: number): Dataset<T[]> {
    integerOption("batch", "size", size, 1);
    return this.#derive<T[]>(
      (view) => ({
        length: Math.ceil(view.length / size),
        at: (index) => collect(view, index * size, Math.min(view.length, (index + 1) * size)),
      }),
      (open) => grouped(open, () => ({ size })),
    );
  }

  #tokenBatches(options: TokenBatchOptions<T>): Dataset<T[]> {
    return this.#derive<T[]>(
      async (view) => {
        const { length } = finite("batch", view);
        const groups = new TokenGroups(options);
        const starts: number[] = [];
        for (let index = 0; index < length; index++) if (groups.begins(await view.at(index))) starts.push(index);
        return {
          length: starts.length,
          at: (index) => collect(view, starts[index]!, starts[index + 1] ?? length),
        };
      },
      (open) =>
        grouped(open, () => {
          const groups = new TokenGroups(options);
          return { size: Number.POSITIVE_INFINITY, begins: (item) => groups.begins(item) };
        }),
    );
  }

  #derive<U>(
    view: (inner: View<T>, epoch: number) => View<U> | Promise<View<U>>,
    blocks: (inner: OpenBlocks<T>) => OpenBlocks<U>,
  ): Dataset<U> {
    const source = this.#source;
    if (!source.list) return new Dataset<U>({ list: false, resumable: source.resumable, open: blocks(source.open) });
    return new Dataset<U>({ ...source, open: async (epoch: number) => view(await source.open(epoch), epoch) });
  }

  /** What needs a list: done on all items, or on one window after the other, of which `slice` items are given on together. */
  #windowed<U>(
    where: string,
    view: (inner: View<T>, epoch: number) => View<U> | Promise<View<U>>,
    window: number = defaultWindow,
    slice: number,
  ): Dataset<U> {
    integerOption("dataset", "window", window, 1);
    const whole = (inner: View<T>, epoch: number) => view(finite(where, inner), epoch);
    const part = (items: readonly T[], epoch: number) =>
      view({ length: items.length, at: (index) => items[index]! }, epoch);
    return this.#derive<U>(whole, (open) => windowed(open, window, slice, part));
  }
}

async function collect<T>(view: View<T>, start: number, end: number): Promise<T[]> {
  const items: T[] = [];
  for (let index = start; index < end; index++) items.push(await view.at(index));
  return items;
}
