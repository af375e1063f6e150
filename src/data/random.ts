/** Counter-based random numbers: Philox 4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). */
import { setImmediate } from "node:timers/promises";
import { integerOption } from "../options.ts";

/** High half of a 32 by 32 bit product. */
function high(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (cross >>> 16)) >>> 0;
}

/**
 * Four random 32-bit numbers that depend on nothing but the counter and the key.
 *
 * @param counter - Four 32-bit numbers.
 * @param key - Two 32-bit numbers.
 * @param out - Takes the numbers; a list for many calls costs less than many lists.
 * @returns `out`
 * @internal
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: number[] = [0, 0, 0, 0],
): number[] {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const nextA = (high(0xcd9e8d57, c) ^ b ^ k0) >>> 0;
    const nextC = (high(0xd2511f53, a) ^ d ^ k1) >>> 0;
    b = Math.imul(0xcd9e8d57, c) >>> 0;
    d = Math.imul(0xd2511f53, a) >>> 0;
    a = nextA;
    c = nextC;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  out[0] = a;
  out[1] = b;
  out[2] = c;
  out[3] = d;
  return out;
}

/** Marks the streams of this module among others with the same key. */
const stream = 0x64617461;

/**
 * The order of `length` items that belongs to a seed and an epoch.
 *
 * @param seed - An integer from 0 to 2^53 - 1.
 * @param epoch - An integer from 0.
 * @param length - How many items.
 * @returns A permutation of `0..length`.
 * @throws OptionError if the seed or the epoch is none.
 */
export function permutation(seed: number, epoch: number, length: number): Uint32Array {
  const shuffle = new Shuffle(seed, epoch, length);
  shuffle.advance(Number.POSITIVE_INFINITY);
  return shuffle.order;
}

/** Items that are put in order before other work of the process gets its turn. */
const turnItems = 1 << 16;

/**
 * {@link permutation} for many items: other work of the process goes on meanwhile.
 *
 * @internal
 */
export async function permutationOf(seed: number, epoch: number, length: number): Promise<Uint32Array> {
  const shuffle = new Shuffle(seed, epoch, length);
  while (shuffle.advance(turnItems)) await setImmediate();
  return shuffle.order;
}

/** Fisher and Yates' shuffle, in parts. */
class Shuffle {
  readonly order: Uint32Array;
  readonly #key: readonly [number, number];
  readonly #counter: [number, number, number, number];
  readonly #words = [0, 0, 0, 0];
  /** Words that are not used yet. */
  #left = 0;
  /** The item that is exchanged next. */
  #index: number;

  constructor(seed: number, epoch: number, length: number) {
    integerOption("shuffle", "seed", seed, 0);
    integerOption("shuffle", "epoch", epoch, 0);
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
    this.#counter = [0, epoch >>> 0, Math.floor(epoch / 2 ** 32), stream];
    this.order = new Uint32Array(length);
    for (let index = 0; index < length; index++) this.order[index] = index;
    this.#index = length - 1;
  }

  /** Exchanges so many items; says whether some are left. */
  advance(count: number): boolean {
    const order = this.order;
    const end = Math.max(0, this.#index - count);
    let index = this.#index;
    for (; index > end; index--) {
      if (this.#left === 0) {
        this.#counter[0] = index;
        philox(this.#counter, this.#key, this.#words);
        this.#left = 4;
      }
      this.#left -= 1;
      // 32 random bits scaled to the range: the bias is below one in a thousand for a million items.
      const other = Math.floor((this.#words[this.#left]! / 2 ** 32) * (index + 1));
      const kept = order[index]!;
      order[index] = order[other]!;
      order[other] = kept;
    }
    this.#index = index;
    return index > 0;
  }
}
