/** A seed for a call that was given none: an integer below 2 ** 47. */
export function randomSeed(): number {
  // The global, not node:crypto: Node loads it when it is used first, which an import of the package need not wait for.
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high! % 2 ** 15) * 2 ** 32 + low!;
}
