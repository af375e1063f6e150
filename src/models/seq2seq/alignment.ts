import type { DecodedRow } from "../../decoding/greedy.ts";
import type { ModelHandle } from "../../native.ts";
import { fed } from "./batches.ts";
import type { Roles, VocabularySizes } from "./roles.ts";

/** What a decoder looks at, and how it is asked. */
export interface AlignmentSubject {
  readonly handle: ModelHandle;
  readonly roles: Roles;
  readonly sizes: VocabularySizes;
  /** The token before the first of a target. */
  readonly begin: number;
}

/**
 * Which ids of its source each id of a result looks at: the shares of the decoder's last attention to the source, the mean over
 * its heads, while the model runs over the whole result.
 *
 * @returns The rows with their attentions.
 * @throws GraphError if the decoder attends to no other sequence.
 */
export async function aligned(
  { handle, roles, sizes, begin }: AlignmentSubject,
  sources: readonly Int32Array[],
  rows: readonly DecodedRow[],
  signal: AbortSignal,
): Promise<DecodedRow[]> {
  const longest = rows.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  if (longest === 0) return rows.map((row) => ({ ...row, attention: [] }));
  // What stands before an id decides on it.
  const targets = rows.map(({ ids }) => [begin, ...ids.subarray(0, -1)]);
  const inputs: { data: Float32Array | Int32Array; shape: number[] }[] = [];
  for (const [place, { data, shape }] of [
    [roles.encoderInput, fed(sources, roles.sourceFeed, sizes.source)] as const,
    [roles.decoderInput, fed(targets, roles.feed, sizes.target)] as const,
  ]) {
    inputs[place] = { data, shape: [...shape] };
  }
  const { data, shape } = await handle.alignment(roles.decoderInput, inputs, signal);
  const [, steps = 0, width = 0] = shape;
  const shares = data as Float32Array;
  return rows.map((row, index) => ({
    ...row,
    attention: Array.from(row.ids, (_, step) => {
      const start = (index * steps + step) * width;
      return shares.slice(start, start + sources[index]!.length);
    }),
  }));
}
