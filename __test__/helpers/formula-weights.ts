/**
 * Weights, inputs and gradients by formula, the same here and in `__test__/golden/keras/formula.py`, so that no golden
 * file has to hold them and no foreign random generator is needed.
 *
 * With 32-bit unsigned arithmetic and MurmurHash3's finaliser, for index i: `x = (i + 1) * 2654435761 + seed * 2246822519`,
 * `x ^= x >>> 16`, `x *= 0x85ebca6b`, `x ^= x >>> 13`, `x *= 0xc2b2ae35`, `x ^= x >>> 16`.
 */
function hash(seed: number, index: number): number {
  let x = (Math.imul(index + 1, 2654435761) + Math.imul(seed, 2246822519)) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * Values spread evenly over `[-scale, scale)`: `(hash / 2^31 - 1) * scale`, rounded to float32.
 *
 * @param seed - Which values; any 32-bit integer.
 * @param length - How many.
 * @param scale - Half of the range.
 * @returns `[length]`
 */
export function formulaValues(seed: number, length: number, scale: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => (hash(seed, index) / 2 ** 31 - 1) * scale);
}

/**
 * Integers spread evenly over `[minimum, maximum)`.
 *
 * @param seed - Which values; any 32-bit integer.
 * @param length - How many.
 * @returns `[length]`
 */
export function formulaIntegers(seed: number, length: number, minimum: number, maximum: number): Int32Array {
  return Int32Array.from({ length }, (_, index) => minimum + (hash(seed, index) % (maximum - minimum)));
}
