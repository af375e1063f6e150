import type { TextPair } from "../../data/parallel-text.ts";
import {
  type CheckedScore,
  type Scorable,
  type ScoredTarget,
  type Scorer,
  scoreTargets,
  targetScores,
} from "../../decoding/score.ts";
import type { TargetScores } from "../../native-interface.ts";
import type { Decoder } from "./decoder.ts";
import type { EncodedPair, PairEncoder } from "./pairs.ts";

/** What pairs are scored with. */
export interface PairScorer extends CheckedScore {
  readonly encoder: PairEncoder;
  readonly decoder: Decoder;
}

/** A pair as text and as ids. */
export interface ReadPair {
  readonly text: TextPair;
  readonly ids: EncodedPair;
}

/** Log-probabilities of the targets of pairs, in their order. */
export function scorePairs(pairs: readonly ReadPair[], scorer: PairScorer): Promise<ScoredTarget[]> {
  return scoreTargets(...scorable(pairs, scorer));
}

/** What models think of the targets of pairs, in their order. */
export function pairScores(pairs: readonly ReadPair[], scorer: PairScorer): Promise<TargetScores[]> {
  return targetScores(...scorable(pairs, scorer));
}

function scorable(
  pairs: readonly ReadPair[],
  { encoder, decoder, batchSize, signal }: PairScorer,
): [all: Scorable[], scorer: Scorer] {
  const sources = pairs.map(({ text, ids }) => decoder.source(text.source, ids.source));
  const all = pairs.map(({ ids: { source, target } }, place) => {
    // The begin token is given.
    return { target: target.subarray(1), length: source.length, group: decoder.group(sources[place]!) };
  });
  const scorer = {
    ...decoder.handles(),
    request: decoder.request(),
    inputs: (places: readonly number[]) => decoder.inputs(places.map((place) => sources[place]!)),
    token: (id: number) => encoder.target.vocabulary.token(id),
    batchSize,
    signal,
  };
  return [all, scorer];
}
