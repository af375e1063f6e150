import { Dataset } from "../../data/dataset.ts";
import type { ArrayData, DataBatch } from "../../data/example.ts";
import { padSequences } from "../../data/example.ts";
import type { EncodedPair } from "./pairs.ts";
import type { Feed, Roles, VocabularySizes } from "./roles.ts";

/** Sequences as a model takes them, padded at their ends. */
export function fed(sequences: readonly ArrayLike<number>[], feed: Feed, size: number): ArrayData {
  const ids = padSequences(sequences);
  if (feed === "ids") return ids;
  const [rows = 0, length = 0] = ids.shape;
  const data = new Float32Array(rows * length * size);
  for (const [row, sequence] of sequences.entries()) {
    for (let step = 0; step < sequence.length; step++) data[(row * length + step) * size + sequence[step]!] = 1;
  }
  return { data, shape: [rows, length, size] };
}

/**
 * A batch for teacher forcing: the decoder reads begin and target, and shall give target and end, one step ahead.
 *
 * Padding takes no part in the loss: by the model's mask, else by weights. These are scaled so that the mean over all
 * positions is the mean over the real ones.
 */
export function batchOf(pairs: readonly EncodedPair[], roles: Roles, sizes: VocabularySizes): DataBatch {
  const inputs: ArrayData[] = [];
  inputs[roles.encoderInput] = fed(
    pairs.map(({ source }) => source),
    roles.sourceFeed,
    sizes.source,
  );
  inputs[roles.decoderInput] = fed(
    pairs.map(({ target }) => target.subarray(0, -1)),
    roles.feed,
    sizes.target,
  );
  const targets = padSequences(pairs.map(({ target }) => target.subarray(1)));
  if (roles.masked) return { inputs, targets: [targets] };
  const [, length = 0] = targets.shape;
  const weights = new Float32Array(targets.data.length);
  const weight = weights.length / tokensOf(pairs);
  for (const [row, { target }] of pairs.entries()) {
    weights.fill(weight, row * length, row * length + target.length - 1);
  }
  return { inputs, targets: [targets], sampleWeights: [{ data: weights, shape: targets.shape }] };
}

/** Pairs of equal lengths on both sides in groups of at most `size`: batches without any padding. */
export async function equalLengths(pairs: Dataset<EncodedPair>, size: number): Promise<Dataset<EncodedPair[]>> {
  const full: EncodedPair[][] = [];
  const open = new Map<string, EncodedPair[]>();
  for await (const pair of pairs) {
    const key = `${pair.source.length} ${pair.target.length}`;
    const group = open.get(key) ?? [];
    group.push(pair);
    open.set(key, group);
    if (group.length < size) continue;
    full.push(group);
    open.delete(key);
  }
  return Dataset.from([...full, ...open.values()]);
}

/** Target tokens of pairs, the end tokens included. */
export function tokensOf(pairs: readonly EncodedPair[]): number {
  return pairs.reduce((sum, { target }) => sum + target.length - 1, 0);
}

/** Positions of a pair in a padded batch: the longer side counts. */
export function lengthOf({ source, target }: EncodedPair): number {
  return Math.max(source.length, target.length - 1);
}
