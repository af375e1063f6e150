import type { TextPair } from "../../data/parallel-text.ts";
import { type CheckedScore, type ScoredTarget, scoreTargets } from "../../decoding/score.ts";
import type { Decoder } from "./decoder.ts";
import type { EncodedPair, PairEncoder } from "./pairs.ts";

/** What pairs are scored with. */
export interface PairScorer extends CheckedScore {
  readonly encoder: PairEncoder;
  readonly decoder: Decoder;
}

/** Log-probabilities of the targets of pairs, in their order. */
export function scorePairs(
  pairs: readonly { text: TextPair; ids: EncodedPair }[],
  { encoder, decoder, batchSize, signal }: PairScorer,
): Promise<ScoredTarget[]> {
  const sources = pairs.map(({ text, ids }) => decoder.source(text.source, ids.source));
  const all = pairs.map(({ ids: { source, target } }, place) => {
    // The begin token is given.
    return { target: target.subarray(1), length: source.length, group: decoder.group(sources[place]!) };
  });
  return scoreTargets(all, {
    ...decoder.handles(),
    request: decoder.request(),
    inputs: (places) => decoder.inputs(places.map((place) => sources[place]!)),
    token: (id) => encoder.target.vocabulary.token(id),
    batchSize,
    signal,
  });
}
