import { DataError } from "../../errors.ts";

/**
 * Perplexity of texts of which each token's log-probability is known: `exp` of minus their mean over all tokens of all texts.
 *
 * @param logProbabilities - For each text the natural logarithms of its tokens' probabilities, end tokens included.
 * @returns At least 1; `Infinity` if a token has the probability 0.
 * @throws DataError if there are no tokens, or something is no logarithm of a probability.
 *
 * @example
 * ```ts
 * import { corpusPerplexity } from "sconce";
 *
 * console.log(corpusPerplexity([[Math.log(0.5), Math.log(0.25)], [Math.log(0.5)]])); // 2.52
 * ```
 */
export function corpusPerplexity(
  logProbabilities: readonly (readonly number[] | Float32Array | Float64Array)[],
): number {
  const where = "corpusPerplexity";
  if (!Array.isArray(logProbabilities)) throw new DataError(`${where}: expected a list with an entry for each text`);
  let [sum, count] = [0, 0];
  for (const [index, text] of logProbabilities.entries()) {
    if (!Array.isArray(text) && !(text instanceof Float32Array) && !(text instanceof Float64Array)) {
      throw new DataError(`${where}: entry ${index} is no list of numbers`);
    }
    for (const value of text) {
      if (!(value <= 0))
        throw new DataError(`${where}: entry ${index} has ${value}, which is no logarithm of a probability`);
      sum += value;
      count += 1;
    }
  }
  if (count === 0) throw new DataError(`${where}: there are no tokens`);
  return Math.exp(-sum / count);
}
