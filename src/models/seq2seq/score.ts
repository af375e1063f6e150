import type { TextPair } from "../../data/parallel-text.ts";
import { type CheckedScore, type ScoredTarget, scoreTargets } from "../../decoding/score.ts";
import type { Model } from "../model.ts";
import type { Decoder } from "./decoder.ts";
import type { EncodedPair, PairEncoder } from "./pairs.ts";

/** What pairs are scored with. */
export interface PairScorer extends CheckedScore {
  readonly model: Model;
  readonly encoder: PairEncoder;
  readonly decoder: Decoder;
  /** Whether padding is masked; else only sources of equal length come together. */
  readonly masked: boolean;
}

/** Log-probabilities of the targets of pairs, in their order. */
export function scorePairs(
  pairs: readonly { text: TextPair; ids: EncodedPair }[],
  { model, encoder, decoder, masked, batchSize, signal }: PairScorer,
): Promise<ScoredTarget[]> {
  const all = pairs.map(({ ids: { source, target } }) => {
    // The begin token is given.
    return { target: target.subarray(1), length: source.length, group: masked ? 0 : source.length };
  });
  return scoreTargets(all, {
    handle: model.handle(),
    request: decoder.request(),
    inputs: (places) => decoder.inputs(places.map((place) => pairs[place]!.ids.source)),
    token: (id) => encoder.target.vocabulary.token(id),
    batchSize,
    signal,
  });
}
