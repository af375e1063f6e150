import type { Cursor } from "./blocks.ts";

/** A place in a dataset: what a checkpoint keeps. It can be written as JSON. */
export interface DatasetPosition {
  /** From 0. */
  epoch: number;
  /** Items of that epoch that were delivered. */
  step: number;
  /** For data that are read anew in each epoch: where in them the next item lies, so that what comes before is not read again. */
  cursor?: Cursor;
}

/** An item, where the one after it lies, and how many the epoch has, if that is known. */
export interface Delivered<T> {
  readonly item: T;
  readonly next: Cursor | undefined;
  readonly count: number | undefined;
}

/** Reads a {@link Dataset} and knows where it is. */
export class DatasetIterator<T> implements AsyncIterableIterator<T> {
  readonly #items: AsyncGenerator<Delivered<T>>;
  #position: DatasetPosition;
  #count: number | undefined;

  /** @internal */
  constructor(items: AsyncGenerator<Delivered<T>>, position: DatasetPosition) {
    this.#items = items;
    this.#position = position;
  }

  /** Where the next item lies. */
  get position(): DatasetPosition {
    return { ...this.#position };
  }

  /**
   * How many items the epoch has, known from the first one on; `undefined` for data that are read anew, or without end.
   *
   * @internal
   */
  get count(): number | undefined {
    return this.#count;
  }

  async next(): Promise<IteratorResult<T>> {
    const result = await this.#items.next();
    if (result.done) return { done: true, value: undefined };
    const { item, next, count } = result.value;
    this.#count = count;
    const { epoch, step } = this.#position;
    this.#position = { epoch, step: step + 1, ...(next === undefined ? {} : { cursor: next }) };
    return { done: false, value: item };
  }

  async return(): Promise<IteratorResult<T>> {
    await this.#items.return(undefined);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
