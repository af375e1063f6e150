import { DataError } from "../errors.ts";
import type { View } from "./view.ts";

type Open<T> = (epoch: number) => View<T> | Promise<View<T>>;

/** The epochs of the inner data that make an epoch of repeated data. */
export function innerEpoch(epoch: number, pass: number, count: number): number {
  // Never the same twice in a run, so that a shuffle gives each pass another order.
  return count === Number.POSITIVE_INFINITY ? epoch + pass : epoch * count + pass;
}

/** Some passes over data, one after the other. */
export async function repeatedView<T>(open: Open<T>, count: number, epoch: number): Promise<View<T>> {
  if (count === Number.POSITIVE_INFINITY) return new EndlessView(open, epoch);
  const views: View<T>[] = [];
  const starts: number[] = [];
  let length = 0;
  for (let pass = 0; pass < count; pass++) {
    const view = await open(innerEpoch(epoch, pass, count));
    views.push(view);
    starts.push(length);
    length += view.length;
  }
  return {
    length,
    at(index) {
      let [low, high] = [0, count];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (starts[middle]! <= index) low = middle;
        else high = middle;
      }
      return views[low]!.at(index - starts[low]!);
    },
  };
}

/** Passes without end, of which one is held; it is read in order. */
class EndlessView<T> implements View<T> {
  readonly length = Number.POSITIVE_INFINITY;
  readonly #open: Open<T>;
  readonly #epoch: number;
  #pass = 0;
  /** Index of the first item of the pass. */
  #start = 0;
  #view: View<T> | undefined;

  constructor(open: Open<T>, epoch: number) {
    this.#open = open;
    this.#epoch = epoch;
  }

  async at(index: number): Promise<T> {
    if (index < this.#start) {
      this.#pass = 0;
      this.#start = 0;
      this.#view = undefined;
    }
    for (;;) {
      this.#view ??= await this.#open(innerEpoch(this.#epoch, this.#pass, this.length));
      if (this.#view.length === 0) throw nothingToRepeat();
      if (index < this.#start + this.#view.length) return this.#view.at(index - this.#start);
      this.#start += this.#view.length;
      this.#pass += 1;
      this.#view = undefined;
    }
  }
}

/** The error for data without items that shall be repeated without end. */
export function nothingToRepeat(): DataError {
  return new DataError("repeat: there are no items to repeat without end");
}
