/** Counter-based random numbers: Philox 4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). */
import { integerOption } from "../options.ts";

/** High and low half of a 32 by 32 bit product. */
function multiply(a: number, b: number): [high: number, low: number] {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const cross = aLow * bHigh + (middle % 0x10000);
  return [(aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0, Math.imul(a, b) >>> 0];
}

/**
 * Four random 32-bit numbers that depend on nothing but the counter and the key.
 *
 * @internal
 */
export function philox(counter: readonly [number, number, number, number], key: readonly [number, number]): number[] {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(0xd2511f53, a);
    const [high1, low1] = multiply(0xcd9e8d57, c);
    [a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
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
  integerOption("shuffle", "seed", seed, 0);
  integerOption("shuffle", "epoch", epoch, 0);
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  const order = Uint32Array.from({ length }, (_, index) => index);
  let words: number[] = [];
  for (let index = length - 1; index > 0; index--) {
    if (words.length === 0) words = philox([index, epoch >>> 0, Math.floor(epoch / 2 ** 32), stream], key);
    // 32 random bits scaled to the range: the bias is below one in a thousand for a million items.
    const other = Math.floor((words.pop()! / 2 ** 32) * (index + 1));
    const kept = order[index]!;
    order[index] = order[other]!;
    order[other] = kept;
  }
  return order;
}
