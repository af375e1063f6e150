import type { ModelHandle } from "../native.ts";
import type { Batch, TargetScores } from "../native-interface.ts";
import { checkKeys, checkSignal, integerOption } from "../options.ts";
import { inspectionOf, type ModelRequest } from "./request.ts";

/** Options of `score`. */
export interface ScoreOptions {
  /** Targets that are computed together, at least 1; default 32. The result does not depend on it. */
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

/** Checked options, with defaults. */
export interface CheckedScore {
  readonly batchSize: number;
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of `score`. */
export function checkScore(options: ScoreOptions): CheckedScore {
  checkKeys("score", options, ["batchSize", "signal"]);
  checkSignal("score", options.signal);
  const { batchSize = 32, signal } = options;
  return { batchSize: integerOption("score", "batchSize", batchSize, 1), signal };
}

/** A target that is scored, its end token included. */
export interface Scorable {
  readonly target: Int32Array;
  /** What decides on the order: those of about the same length come together. */
  readonly length: number;
  /** Only those with the same number come together. */
  readonly group: number;
}

/** What targets are scored with. */
export interface Scorer extends CheckedScore {
  readonly handle: ModelHandle;
  /** Models that score together with it. */
  readonly others?: readonly ModelHandle[];
  readonly request: ModelRequest;
  /** All inputs of the models but the decoders', for some of the targets. */
  inputs(places: readonly number[]): Batch[];
  token(id: number): string;
}

/** Log-probabilities of targets, in their order. */
export async function scoreTargets(all: readonly Scorable[], scorer: Scorer): Promise<ScoredTarget[]> {
  const found = await targetScores(all, scorer);
  return all.map(({ target }, place) => {
    const logProbabilities = Array.from(found[place]!.logProbabilities);
    const score = logProbabilities.reduce((sum, value) => sum + value, 0);
    return { score, tokens: Array.from(target, (id) => scorer.token(id)), logProbabilities };
  });
}

/** What models think of targets, in their order. */
export async function targetScores(all: readonly Scorable[], scorer: Omit<Scorer, "token">): Promise<TargetScores[]> {
  const { handle, others = [], batchSize, signal } = scorer;
  const request = JSON.stringify(inspectionOf(scorer.request));
  const order = all.map((own, place) => ({ ...own, place })).sort((a, b) => a.group - b.group || a.length - b.length);
  const scored: TargetScores[] = [];
  for (let start = 0; start < order.length; ) {
    const rest = order.slice(start, start + batchSize);
    const end = rest.findIndex(({ group }) => group !== rest[0]!.group);
    const batch = end === -1 ? rest : rest.slice(0, end);
    const places = batch.map(({ place }) => place);
    const targets = batch.map(({ target }) => target);
    const found = await handle.scoreTargets(request, scorer.inputs(places), targets, signal, others);
    for (const [row, place] of places.entries()) scored[place] = found[row]!;
    start += batch.length;
  }
  return scored;
}
