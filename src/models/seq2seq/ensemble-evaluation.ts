import { DataError } from "../../errors.ts";
import type { Decoder } from "./decoder.ts";
import { type CheckedEvaluate, countMatches, type Evaluation } from "./evaluate.ts";
import type { PairEncoder, Pairs } from "./pairs.ts";
import { pairScores, type ReadPair } from "./score.ts";

/** Translators that choose tokens together, and how the first one reads pairs. */
interface Subject {
  readonly encoder: PairEncoder;
  readonly decoder: Decoder;
}

/**
 * What translators together think of pairs: all of it is of the probabilities that they give together.
 *
 * @throws DataError if there are no pairs.
 */
export async function evaluateTogether(
  { encoder, decoder }: Subject,
  pairs: Pairs,
  { exactMatch, batchSize, maxLength, signal }: CheckedEvaluate,
): Promise<Evaluation> {
  await decoder.build(signal);
  const sums = { tokens: 0, pairs: 0, crossEntropy: 0, right: 0, matches: 0 };
  for await (const block of encoder.blocks("evaluate", pairs, maxLength, signal)) {
    const scores = await pairScores(block, { encoder, decoder, batchSize, signal });
    for (const [index, { ids }] of block.entries()) {
      const { logProbabilities, best } = scores[index]!;
      // The begin token is given.
      const target = ids.target.subarray(1);
      sums.tokens += target.length;
      for (const value of logProbabilities) sums.crossEntropy -= value;
      sums.right += target.filter((id, step) => id === best[step]).length;
    }
    sums.pairs += block.length;
    if (exactMatch) sums.matches += await matchesOf(block, { encoder, decoder }, batchSize, signal);
  }
  const { tokens, pairs: count } = sums;
  if (tokens === 0) throw new DataError("evaluate: there are no sentence pairs");
  const loss = sums.crossEntropy / tokens;
  return {
    loss,
    perplexity: Math.exp(loss),
    tokenAccuracy: sums.right / tokens,
    ...(exactMatch ? { exactMatch: sums.matches / count } : {}),
    tokens,
    pairs: count,
  };
}

/** How many translations are the references; pairs of about the same length come together. */
async function matchesOf(
  block: readonly ReadPair[],
  { encoder, decoder }: Subject,
  batchSize: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const read = block.map(({ text, ids }) => ({ sources: decoder.source(text.source, ids.source), target: ids.target }));
  read.sort((a, b) => a.target.length - b.target.length);
  let matches = 0;
  for (let start = 0; start < read.length; start += batchSize) {
    const some = read.slice(start, start + batchSize);
    matches += await countMatches(some, decoder, encoder.target, batchSize, signal);
  }
  return matches;
}
