import type { TextPair } from "../../data/parallel-text.ts";
import { inspectionOf } from "../../decoding/request.ts";
import { checkKeys, checkSignal, integerOption } from "../../options.ts";
import type { Model } from "../model.ts";
import type { Decoder } from "./decoder.ts";
import type { EncodedPair, PairEncoder } from "./pairs.ts";

/** Options of `Seq2Seq.score`. */
export interface ScoreOptions {
  /** Pairs that are computed together, at least 1; default 32. The result does not depend on it. */
  batchSize?: number;
  /** Stops between two batches; the rejection is its reason. */
  signal?: AbortSignal;
}

/** How probable a model thinks a target is. */
export interface ScoredTarget {
  /** Sum of the natural logarithms of the tokens' probabilities, that of the end token included. */
  score: number;
  /** The tokens of the target, the end token included. */
  tokens: string[];
  /** The log-probability of each token after those before it. */
  logProbabilities: number[];
}

/** Checks the options of `score`. */
export function checkScore(options: ScoreOptions): { batchSize: number; signal: AbortSignal | undefined } {
  checkKeys("score", options, ["batchSize", "signal"]);
  checkSignal("score", options.signal);
  const { batchSize = 32, signal } = options;
  return { batchSize: integerOption("score", "batchSize", batchSize, 1), signal };
}

/** What is scored, and how. */
export interface ScoreRequest {
  readonly model: Model;
  readonly encoder: PairEncoder;
  readonly decoder: Decoder;
  /** Whether padding is masked; else only sources of equal length come together. */
  readonly masked: boolean;
  readonly batchSize: number;
  readonly signal: AbortSignal | undefined;
}

/** Log-probabilities of the targets of pairs, in their order. */
export async function scorePairs(
  pairs: readonly { text: TextPair; ids: EncodedPair }[],
  { model, encoder, decoder, masked, batchSize, signal }: ScoreRequest,
): Promise<ScoredTarget[]> {
  const { vocabulary } = encoder.target;
  const request = JSON.stringify(inspectionOf(decoder.request()));
  const scored: ScoredTarget[] = [];
  const order = pairs.map((_, place) => place).sort((a, b) => sourceLength(pairs[a]!) - sourceLength(pairs[b]!));
  for (let start = 0; start < order.length; ) {
    const rest = order.slice(start, start + batchSize);
    const length = sourceLength(pairs[rest[0]!]!);
    const end = masked ? -1 : rest.findIndex((place) => sourceLength(pairs[place]!) !== length);
    const places = end === -1 ? rest : rest.slice(0, end);
    // The begin token is given.
    const targets = places.map((place) => pairs[place]!.ids.target.subarray(1));
    const inputs = decoder.inputs(places.map((place) => pairs[place]!.ids.source));
    const found = await model.handle().scoreTargets(request, inputs, targets, signal);
    for (const [row, place] of places.entries()) {
      const logProbabilities = Array.from(found[row]!);
      scored[place] = {
        score: logProbabilities.reduce((sum, value) => sum + value, 0),
        tokens: Array.from(targets[row]!, (id) => vocabulary.token(id)),
        logProbabilities,
      };
    }
    start += places.length;
  }
  return scored;
}

function sourceLength({ ids }: { ids: EncodedPair }): number {
  return ids.source.length;
}
