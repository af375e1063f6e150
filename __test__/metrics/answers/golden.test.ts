import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import {
  type AnsweredQuestion,
  type AnswerScores,
  cmrc,
  DataError,
  OptionError,
  type SquadScores,
  squad,
  squadQuestions,
} from "../../../src/index.ts";
import { wordsOf } from "../../../src/metrics/answers/words.ts";
import { goldenMetrics, near } from "../../helpers/metrics.ts";

interface Case {
  questions: AnsweredQuestion[];
  predictions: Record<string, string>;
  squad2: Record<string, number>;
  squad1?: { exact_match: number; f1: number };
  cmrc?: { exact: number; f1: number; total: number; missing: number };
}

interface Golden {
  cases: Case[];
  words: [text: string, words: string[]][];
  systems: Record<string, { exact?: number; exact_match?: number; f1: number }>;
  thresholds: {
    questions: AnsweredQuestion[];
    predictions: Record<string, string>;
    probabilities: Record<string, number>;
    threshold: number;
    squad2: Record<string, number>;
  }[];
  thresholdSystems: Record<string, Record<string, number>>;
}

const golden = goldenMetrics<Golden>("answers.json");

test("random answers have the values of SQuAD's and CMRC's scripts", (t) => {
  for (const [number, { questions, predictions, squad1, squad2, cmrc: chinese }] of golden.cases.entries()) {
    const same = (name: string, own: number | undefined, expected: number | undefined) => {
      const fits = own === undefined || expected === undefined ? own === expected : near(own, expected);
      t.true(fits, `case ${number}, ${name}: ${own} instead of ${expected}`);
    };
    const second = squad(predictions, questions);
    same("exact match 2.0", second.exactMatch, squad2.exact);
    same("f1 2.0", second.f1, squad2.f1);
    t.is(second.total, squad2.total!);
    same("f1 of questions with answers", second.hasAnswer?.f1, squad2.HasAns_f1);
    same("exact match of questions without", second.noAnswer?.exactMatch, squad2.NoAns_exact);
    if (squad1 === undefined || chinese === undefined) continue;
    const first = squad(predictions, questions, { version: "1.1" });
    same("exact match 1.1", first.exactMatch, squad1.exact_match);
    same("f1 1.1", first.f1, squad1.f1);
    const own = cmrc(predictions, questions);
    same("exact match of CMRC", own.exactMatch, chinese.exact);
    same("f1 of CMRC", own.f1, chinese.f1);
    t.deepEqual([own.total, own.missing], [chinese.total, chinese.missing]);
  }
});

/** All that the script of SQuAD 2.0 prints, by its names. */
function printed({ exactMatch, f1, total, hasAnswer, noAnswer, ...best }: SquadScores): Record<string, number> {
  const part = (name: string, scores: AnswerScores | undefined) =>
    scores === undefined
      ? {}
      : { [`${name}_exact`]: scores.exactMatch, [`${name}_f1`]: scores.f1, [`${name}_total`]: scores.total };
  return {
    exact: exactMatch,
    f1,
    total,
    ...part("HasAns", hasAnswer),
    ...part("NoAns", noAnswer),
    best_exact: best.bestExactMatch!,
    best_exact_thresh: best.bestExactMatchThreshold!,
    best_f1: best.bestF1!,
    best_f1_thresh: best.bestF1Threshold!,
  };
}

function samePrinted(t: ExecutionContext, name: string, own: SquadScores, expected: Record<string, number>): void {
  const found = printed(own);
  t.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort(), name);
  for (const [key, value] of Object.entries(expected)) {
    t.true(near(found[key]!, value), `${name}, ${key}: ${found[key]} instead of ${value}`);
  }
}

test("thresholds for questions without an answer are those of SQuAD's script", (t) => {
  t.true(golden.thresholds.some(({ squad2 }) => squad2.best_exact_thresh! > 0 && squad2.best_exact! > squad2.exact!));
  for (const [number, { questions, predictions, probabilities, threshold, squad2 }] of golden.thresholds.entries()) {
    const options = { noAnswerProbabilities: probabilities, noAnswerThreshold: threshold };
    samePrinted(t, `case ${number}`, squad(predictions, questions, options), squad2);
    const map = new Map(Object.entries(probabilities));
    samePrinted(t, `case ${number}`, squad(predictions, questions, { ...options, noAnswerProbabilities: map }), squad2);
  }
});

test("words are those of NLTK", (t) => {
  for (const [text, words] of golden.words) t.deepEqual(wordsOf(text), words, JSON.stringify(text));
});

test("published systems have the values of SQuAD's scripts", (t) => {
  const folder = process.env.SCONCE_DATA ?? "";
  if (!existsSync(join(folder, "conformance/squad-predictions"))) {
    t.log("not tested: set SCONCE_DATA to the folder that holds conformance/squad-predictions and qa");
    t.pass();
    return;
  }
  const read = (path: string) => JSON.parse(gunzipSync(readFileSync(join(folder, path))).toString("utf8")) as unknown;
  const questions = (version: string) =>
    ["train", "valid", "test"].flatMap((part) => squadQuestions(read(`qa/squad${version}-dev.${part}.json.gz`)));
  const sets = { "1.1": questions("1.1"), "2.0": questions("2.0") };
  for (const [file, { exact, exact_match = exact, f1 }] of Object.entries(golden.systems)) {
    const version = file.startsWith("1.1") ? "1.1" : "2.0";
    const predictions = read(`conformance/squad-predictions/${file}`) as Record<string, string>;
    const found = squad(predictions, sets[version], { version });
    t.true(near(found.exactMatch, exact_match!) && near(found.f1, f1), `${file}: ${found.exactMatch} ${found.f1}`);
  }
  for (const [file, expected] of Object.entries(golden.thresholdSystems)) {
    const predictions = Object.entries(read(`conformance/squad-predictions/${file}`) as Record<string, string>);
    const noAnswerProbabilities = new Map(
      predictions.map(([id, text]) => [id, text === "" ? 1 : (([...text].length * 37) % 101) / 101]),
    );
    const options = { noAnswerProbabilities, noAnswerThreshold: 0.5 };
    samePrinted(t, file, squad(new Map(predictions), sets["2.0"], options), expected);
  }
});

test("what does not fit is refused", (t) => {
  const questions = [{ id: "a", answers: ["b"] }];
  const refused = (call: () => unknown, message: RegExp) => t.throws(call, { instanceOf: DataError, message });
  refused(() => squad({}, []), /no questions/);
  refused(() => squad({}, questions), /no question has a prediction/);
  refused(() => squad({ a: 1 } as never, questions), /prediction of question a is no text/);
  refused(() => squad({ a: "b" }, [{ id: "a" }] as never), /questions\[0\] must have an id and a list of answers/);
  refused(() => squad({ a: "b" }, [{ id: "a", answers: [] }], { version: "1.1" }), /no expected answer/);
  refused(() => cmrc({ a: "b" }, [{ id: "a", answers: [] }]), /no expected answer/);
  refused(() => cmrc(null as never, questions), /predictions must be an object or a map/);
  refused(() => squadQuestions({}), /document has no data/);
  refused(() => squadQuestions({ data: [{ paragraphs: 3 }] }), /paragraphs is no list/);
  refused(() => squadQuestions({ data: [{ paragraphs: [{ qas: [{ id: 1 }] }] }] }), /id of a question is no text/);
  const probabilities = (noAnswerProbabilities: unknown) =>
    squad({ a: "b" }, questions, { noAnswerProbabilities } as never);
  refused(() => probabilities({ b: 0.5 }), /probability that question a has no answer is missing/);
  refused(() => probabilities({ a: "0.5" }), /probability that question a has no answer is no number/);
  refused(() => probabilities(new Map([["a", Number.NaN]])), /is no number/);
  refused(() => probabilities(0.5), /noAnswerProbabilities must be an object or a map/);
  const wrong = (options: object, message: RegExp) =>
    t.throws(() => squad({ a: "b" }, questions, options), { instanceOf: OptionError, message });
  wrong({ version: "1.1", noAnswerProbabilities: { a: 0 } }, /are for version "2.0"/);
  wrong({ noAnswerThreshold: 0.5 }, /needs noAnswerProbabilities/);
  wrong({ noAnswerProbabilities: { a: 0 }, noAnswerThreshold: "0.5" }, /noAnswerThreshold/);
  t.is(squad({}, questions, { version: "1.1" }).missing, 1);
  t.is(squad(new Map([["a", "The B."]]), questions).exactMatch, 100);
});
