import type { DecodedRow } from "../../decoding/request.ts";
import type { ModelHandle } from "../../native.ts";
import type { Batch } from "../../native-interface.ts";
import { fed } from "./batches.ts";
import type { Roles } from "./roles.ts";

/** What a decoder looks at, and how it is asked. */
export interface AlignmentSubject {
  readonly handle: ModelHandle;
  readonly roles: Roles;
  /** Size of the target's vocabulary. */
  readonly size: number;
  /** The token before the first of a target. */
  readonly begin: number;
  /** Sources as the model takes them. */
  inputs(sources: readonly Int32Array[]): Batch[];
}

/** A source, and what its target was given to begin with. */
export interface AlignedSource {
  readonly ids: Int32Array;
  readonly prefix: Int32Array;
}

/**
 * Which ids of its source each id of a result looks at, those that were given included: the shares of the decoder's last attention to
 * the source, the mean over its heads, while the model runs over the whole result.
 *
 * @param sources - A source for each list of rows.
 * @param found - The sequences of each source.
 * @returns The rows with their attentions.
 * @throws GraphError if the decoder attends to no other sequence.
 */
export async function aligned(
  { handle, roles, size, begin, inputs }: AlignmentSubject,
  sources: readonly AlignedSource[],
  found: readonly (readonly DecodedRow[])[],
  signal: AbortSignal | undefined,
): Promise<DecodedRow[][]> {
  const all = found.flatMap((rows, index) => rows.map(({ ids }) => ({ source: sources[index]!, ids })));
  // What stands before an id decides on it.
  const targets = all.map(({ source: { prefix }, ids }) => [begin, ...prefix, ...ids].slice(0, -1));
  const longest = targets.reduce((most, { length }) => Math.max(most, length), 0);
  if (longest === 0) return found.map((rows) => rows.map((row) => ({ ...row, attention: [] })));
  const given = inputs(all.map(({ source }) => source.ids));
  const { data, shape } = fed(targets, roles.feed, size);
  given.splice(roles.decoderInput, 0, { data, shape: [...shape] });
  const attentions = await handle.alignment(roles.decoderInput, given, signal);
  const [, steps = 0, width = 0] = attentions.shape;
  const shares = attentions.data as Float32Array;
  let place = -1;
  return found.map((rows) =>
    rows.map((row) => {
      place += 1;
      const { source } = all[place]!;
      const attention = Array.from(targets[place]!, (_, step) => {
        const start = (place * steps + step) * width;
        return shares.slice(start, start + source.ids.length);
      });
      return { ...row, attention };
    }),
  );
}
