/** When it is better to say that a question has no answer: thresholds of SQuAD 2.0's evaluation script. */
import { DataError } from "../../errors.ts";
import type { AnswerValues } from "./answer-metric.ts";

/** How probable it is that a question has no answer, by the ids of questions. */
export type NoAnswerProbabilities = Readonly<Record<string, number>> | ReadonlyMap<string, number>;

/** What answers are worth at the thresholds that are best for them. */
export interface BestThresholds {
  /** Share of right answers, from 0 to 100, at the threshold that is best for it. */
  readonly bestExactMatch: number;
  /** That threshold: a question whose probability is larger is taken to have no answer. */
  readonly bestExactMatchThreshold: number;
  /** Mean F1, from 0 to 100, at the threshold that is best for it. */
  readonly bestF1: number;
  /** That threshold. */
  readonly bestF1Threshold: number;
}

/** A question with its prediction and what that is worth. */
export interface JudgedAnswer {
  readonly id: string;
  readonly hasAnswer: boolean;
  readonly prediction: string;
  readonly values: AnswerValues;
}

/**
 * Probabilities by the ids of questions.
 *
 * @throws DataError if one is no number, or a prediction has none.
 */
export function probabilitiesOf(
  where: string,
  given: NoAnswerProbabilities,
  answers: readonly JudgedAnswer[],
): ReadonlyMap<string, number> {
  if (typeof given !== "object" || given === null) {
    throw new DataError(`${where}: noAnswerProbabilities must be an object or a map of numbers by question`);
  }
  const probabilities: ReadonlyMap<string, number> = given instanceof Map ? given : new Map(Object.entries(given));
  for (const { id } of answers) {
    const probability: unknown = probabilities.get(id);
    if (typeof probability === "number" && !Number.isNaN(probability)) continue;
    const what = probability === undefined ? "is missing" : "is no number";
    throw new DataError(`${where}: the probability that question ${id} has no answer ${what}`);
  }
  return probabilities;
}

/** What an answer is worth if questions of a probability above a threshold are taken to have none. */
export function withThreshold(
  { id, hasAnswer, values }: JudgedAnswer,
  probabilities: ReadonlyMap<string, number>,
  threshold: number,
): AnswerValues {
  if (!(probabilities.get(id)! > threshold)) return values;
  const value = hasAnswer ? 0 : 1;
  return { exactMatch: value, f1: value };
}

/**
 * The best thresholds: probabilities are gone through from small to large, those of equal size in their order, each for itself.
 *
 * @param unanswerable - Count of questions without an answer, with those that have no prediction.
 */
export function bestThresholds(
  answers: readonly JudgedAnswer[],
  probabilities: ReadonlyMap<string, number>,
  unanswerable: number,
): BestThresholds {
  const byId = new Map(answers.map((answer) => [answer.id, answer]));
  const sorted = [...probabilities].filter(([id]) => byId.has(id)).sort(([, one], [, other]) => one - other);
  const bestOf = (name: keyof AnswerValues): [value: number, threshold: number] => {
    let current = unanswerable;
    let [best, threshold] = [current, 0];
    for (const [id, probability] of sorted) {
      const { hasAnswer, prediction, values } = byId.get(id)!;
      if (hasAnswer) current += values[name];
      else if (prediction !== "") current -= 1;
      if (current > best) [best, threshold] = [current, probability];
    }
    return [(100 * best) / byId.size, threshold];
  };
  const [bestExactMatch, bestExactMatchThreshold] = bestOf("exactMatch");
  const [bestF1, bestF1Threshold] = bestOf("f1");
  return { bestExactMatch, bestExactMatchThreshold, bestF1, bestF1Threshold };
}
