import { DataError, OptionError } from "../../errors.ts";
import { checkKeys, nameOption, numberOption } from "../../options.ts";
import type { AnswerRules, AnswerValues } from "./answer-metric.ts";
import { cmrcRules } from "./cmrc-rules.ts";
import {
  type BestThresholds,
  bestThresholds,
  type JudgedAnswer,
  type NoAnswerProbabilities,
  probabilitiesOf,
  withThreshold,
} from "./no-answer.ts";
import { squad1Rules, squadRules } from "./squad-rules.ts";

/** A question of a data set with its expected answers; without any it cannot be answered. */
export interface AnsweredQuestion {
  /** What predictions are found by. */
  readonly id: string;
  /** Texts of the expected answers. */
  readonly answers: readonly string[];
}

/** Answers by the ids of their questions. */
export type Predictions = Readonly<Record<string, string>> | ReadonlyMap<string, string>;

/** What answers are worth. */
export interface AnswerScores {
  /** Share of answers that are one of those expected, from 0 to 100. */
  readonly exactMatch: number;
  /** Mean F1, from 0 to 100. */
  readonly f1: number;
  /** Count of questions that this is the mean over. */
  readonly total: number;
}

/** What {@link squad} gives. */
export interface SquadScores extends AnswerScores, Partial<BestThresholds> {
  /** Of the questions that have an answer; with version `"2.0"`, if there are some. */
  readonly hasAnswer?: AnswerScores;
  /** Of the questions that have none. */
  readonly noAnswer?: AnswerScores;
  /** Count of questions without a prediction. */
  readonly missing: number;
}

/** Options of {@link squad}. */
export interface SquadOptions {
  /**
   * Whose evaluation script is followed: of `"1.1"` a missing prediction is wrong, of `"2.0"` it is left out, and there are questions
   * without an answer, whose prediction must be empty. Default `"2.0"`.
   */
  version?: "1.1" | "2.0";
  /**
   * For version `"2.0"`: how probable a system thinks it is that a question has no answer, by the ids of questions, at least of all that
   * have a prediction. The larger, the more probable; from 0 to 1 if they are probabilities. With them come `bestExactMatch`, `bestF1` and
   * their thresholds.
   */
  noAnswerProbabilities?: NoAnswerProbabilities;
  /** Questions of a larger probability are taken to have no answer, whatever was predicted; default 1. */
  noAnswerThreshold?: number;
}

/**
 * The questions of a data set in SQuAD's JSON format, which CMRC 2018 has too.
 *
 * @param document - What was parsed from the file: `{ data: { paragraphs: { qas: { id, answers: { text }[] }[] }[] }[] }`.
 * @returns The questions in their order.
 * @throws DataError if it is no such document.
 */
export function squadQuestions(document: unknown): AnsweredQuestion[] {
  const questions: AnsweredQuestion[] = [];
  for (const article of list(field(document, "data", "document"), "data")) {
    for (const paragraph of list(field(article, "paragraphs", "an article"), "paragraphs")) {
      for (const question of list(field(paragraph, "qas", "a paragraph"), "qas")) {
        const id = field(question, "id", "a question");
        if (typeof id !== "string") throw new DataError("squadQuestions: the id of a question is no text");
        const answers = list(field(question, "answers", `question ${id}`), "answers").map((answer) => {
          const text = field(answer, "text", `an answer of question ${id}`);
          if (typeof text === "string") return text;
          throw new DataError(`squadQuestions: an answer of question ${id} is no text`);
        });
        questions.push({ id, answers });
      }
    }
  }
  return questions;
}

function field(value: unknown, name: string, what: string): unknown {
  if (typeof value === "object" && value !== null && name in value) return (value as Record<string, unknown>)[name];
  throw new DataError(`squadQuestions: ${what} has no ${name}`);
}

function list(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new DataError(`squadQuestions: ${name} is no list`);
}

/** Questions with what their predictions are worth; `undefined` without one. */
function judged(
  where: string,
  predictions: Predictions,
  questions: readonly AnsweredQuestion[],
  rules: AnswerRules,
): (JudgedAnswer | { readonly hasAnswer: boolean; readonly values: undefined })[] {
  if (!Array.isArray(questions) || questions.length === 0) throw new DataError(`${where}: there are no questions`);
  if (typeof predictions !== "object" || predictions === null) {
    throw new DataError(`${where}: predictions must be an object or a map of answers by question`);
  }
  const known: ReadonlyMap<string, unknown> =
    predictions instanceof Map ? predictions : new Map(Object.entries(predictions));
  return questions.map((question, index) => {
    const { id, answers } = (question ?? {}) as Partial<AnsweredQuestion>;
    if (typeof id !== "string" || !Array.isArray(answers) || answers.some((text) => typeof text !== "string")) {
      throw new DataError(`${where}: questions[${index}] must have an id and a list of answers`);
    }
    const hasAnswer = answers.length > 0;
    if (!known.has(id)) return { hasAnswer, values: undefined };
    const prediction = known.get(id);
    if (typeof prediction !== "string") throw new DataError(`${where}: the prediction of question ${id} is no text`);
    return { id, hasAnswer, prediction, values: rules(prediction, answers) };
  });
}

function valuesOf(answers: readonly JudgedAnswer[]): AnswerValues[] {
  return answers.map(({ values }) => values);
}

function meanOf(values: readonly AnswerValues[], total: number): AnswerScores {
  const mean = (name: keyof AnswerValues) => (100 * values.reduce((sum, value) => sum + value[name], 0)) / total;
  return { exactMatch: mean("exactMatch"), f1: mean("f1"), total };
}

/**
 * Exact match and F1 of answers, as the evaluation scripts of SQuAD 1.1 and 2.0 compute them: of words in lower case, without punctuation and
 * English articles, compared with the expected answer that is nearest.
 *
 * @param predictions - An answer for each question by its id; the empty text says that there is none.
 * @param questions - Questions with their expected answers, such as those of {@link squadQuestions}.
 * @param options - The version.
 * With `noAnswerProbabilities`, the thresholds and values of the script's `best_exact`, `best_exact_thresh`, `best_f1` and `best_f1_thresh`
 * too; `hasAnswer` and `noAnswer` are its `HasAns_` and `NoAns_`.
 *
 * @returns Values from 0 to 100, and of questions with and without answers.
 * @throws OptionError if an option is wrong; DataError if there are no questions, none has a prediction, a question of version `"1.1"`
 *   has no answer, something is no text, or a probability is missing or no number.
 * @see Rajpurkar et al., "Know What You Don't Know: Unanswerable Questions for SQuAD" (2018)
 *
 * @example
 * ```ts
 * import { squad } from "sconce";
 *
 * const questions = [{ id: "1", answers: ["the Nile", "Nile"] }, { id: "2", answers: [] }];
 * console.log(squad({ "1": "Nile.", "2": "" }, questions).exactMatch); // 100
 * ```
 */
export function squad(
  predictions: Predictions,
  questions: readonly AnsweredQuestion[],
  options: SquadOptions = {},
): SquadScores {
  const where = "squad";
  checkKeys(where, options, ["version", "noAnswerProbabilities", "noAnswerThreshold"]);
  const version = nameOption(where, "version", options.version ?? "2.0", ["1.1", "2.0"]);
  const first = version === "1.1";
  const { noAnswerProbabilities, noAnswerThreshold } = options;
  if (first && noAnswerProbabilities !== undefined) {
    throw new OptionError(
      `${where}: noAnswerProbabilities are for version "2.0": in "1.1" every question has an answer`,
    );
  }
  if (noAnswerThreshold !== undefined && noAnswerProbabilities === undefined) {
    throw new OptionError(`${where}: noAnswerThreshold needs noAnswerProbabilities`);
  }
  const threshold = numberOption(where, "noAnswerThreshold", noAnswerThreshold ?? 1);
  const all = judged(where, predictions, questions, first ? needsAnswers(where, squad1Rules) : squadRules);
  const answers = all.filter((answer) => answer.values !== undefined);
  const missing = all.length - answers.length;
  if (first) return { ...meanOf(valuesOf(answers), all.length), missing };
  if (answers.length === 0) throw new DataError(`${where}: no question has a prediction`);
  const probabilities =
    noAnswerProbabilities === undefined ? undefined : probabilitiesOf(where, noAnswerProbabilities, answers);
  const kept = answers.map((answer) =>
    probabilities === undefined ? answer : { ...answer, values: withThreshold(answer, probabilities, threshold) },
  );
  const part = (has: boolean) => {
    const values = valuesOf(kept.filter(({ hasAnswer }) => hasAnswer === has));
    return values.length === 0 ? undefined : meanOf(values, values.length);
  };
  const [hasAnswer, noAnswer] = [part(true), part(false)];
  return {
    ...meanOf(valuesOf(kept), kept.length),
    ...(hasAnswer === undefined ? {} : { hasAnswer }),
    ...(noAnswer === undefined ? {} : { noAnswer }),
    missing,
    ...(probabilities === undefined
      ? {}
      : bestThresholds(answers, probabilities, all.filter(({ hasAnswer }) => !hasAnswer).length)),
  };
}

function needsAnswers(where: string, rules: AnswerRules): AnswerRules {
  return (answer, expected) => {
    if (expected.length === 0) throw new DataError(`${where}: a question has no expected answer`);
    return rules(answer, expected);
  };
}

/** What {@link cmrc} gives. */
export interface CmrcScores extends AnswerScores {
  /** Mean of `exactMatch` and `f1`. */
  readonly average: number;
  /** Count of questions without a prediction; they count as wrong. */
  readonly missing: number;
}

/**
 * Exact match and F1 of Chinese answers, as the evaluation script of CMRC 2018 computes them: Chinese characters one by one and other words,
 * without marks, and F1 of the longest run that answer and expected answer have in common.
 *
 * Words that are not Chinese are cut as NLTK's `NLTKWordTokenizer` does. The script lets NLTK look for sentences first, which only matters for
 * several sentences that are not Chinese in one answer; that is left out here.
 *
 * @param predictions - An answer for each question by its id.
 * @param questions - Questions with at least one expected answer each, such as those of {@link squadQuestions}.
 * @returns Values from 0 to 100.
 * @throws DataError if there are no questions, one has no expected answer, or something is no text.
 * @see Cui et al., "A Span-Extraction Dataset for Chinese Machine Reading Comprehension" (2019)
 *
 * @example
 * ```ts
 * import { cmrc } from "sconce";
 *
 * console.log(cmrc({ a: "于1940年" }, [{ id: "a", answers: ["1940年"] }]).f1); // 80
 * ```
 */
export function cmrc(predictions: Predictions, questions: readonly AnsweredQuestion[]): CmrcScores {
  const where = "cmrc";
  const all = judged(where, predictions, questions, needsAnswers(where, cmrcRules));
  const found = all.flatMap(({ values }) => values ?? []);
  const scores = meanOf(found, all.length);
  return { ...scores, average: (scores.exactMatch + scores.f1) / 2, missing: all.length - found.length };
}
