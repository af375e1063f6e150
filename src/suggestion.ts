/** Edits from one word to another: letters that are put in, left out, replaced, or swapped with their neighbour. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = last[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      let best = Math.min(replaced, last[column]! + 1, current[column - 1]! + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, beforeLast[column - 2]! + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}

/**
 * The name that was probably meant: the one with the fewest edits, if these are few for its length. Case, `_` and `-` do not count.
 *
 * @param given - What was written.
 * @param known - What could have been.
 */
export function nearest(given: string, known: readonly string[]): string | undefined {
  if (given.length > 64) return undefined;
  const plain = (name: string) => name.toLowerCase().replace(/[_-]/g, "");
  let found: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const edits = distance(plain(given), plain(name));
    if (edits < fewest && edits <= Math.max(1, Math.floor(name.length / 3))) {
      found = name;
      fewest = edits;
    }
  }
  return found;
}

/** `; did you mean x?` if there is something near, else nothing. */
export function suggestion(given: unknown, known: readonly string[]): string {
  const name = typeof given === "string" ? nearest(given, known) : undefined;
  return name === undefined ? "" : `; did you mean ${name}?`;
}
