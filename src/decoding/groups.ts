/**
 * Sequences that are decoded together: of similar length, so that little is padded; of equal length where padding would
 * be read.
 *
 * @param lengths - Length of each sequence.
 * @param size - Most in a group.
 * @param exact - Whether lengths in a group must be equal.
 * @returns Places of the sequences, group by group.
 */
export function groupByLength(lengths: readonly number[], size: number, exact: boolean): number[][] {
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[a]! - lengths[b]!);
  const groups: number[][] = [];
  for (const index of order) {
    const group = groups.at(-1);
    const fits = group !== undefined && group.length < size && !(exact && lengths[group[0]!] !== lengths[index]);
    if (fits) group.push(index);
    else groups.push([index]);
  }
  return groups;
}
