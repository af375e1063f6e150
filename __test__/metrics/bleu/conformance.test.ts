import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import test from "ava";
import { type BleuOptions, type BleuSmoothing, type BleuTokenizer, bleu, sentenceBleu } from "../../../src/index.ts";
import { checkBleu } from "../../../src/metrics/bleu/options.ts";
import { scoreOf } from "../../../src/metrics/bleu/score.ts";

const golden = (name: string) => readFileSync(new URL(`../../golden/metrics/${name}`, import.meta.url), "utf8");

type Texts = string[];
type Streams = string[][];

interface OwnTests {
  test_raw_bleu_cases: [Texts, Streams, number][];
  test_corpus_bleu_cases: [Texts, Streams, { tokenize?: BleuTokenizer; smooth_method?: BleuSmoothing }, number][];
  test_case_offset: [Texts, Streams, number, number][];
  test_case_statistics: [Texts, Streams, [counts: number[], totals: number[]]][];
  test_case_scoring: [Scoring, number][];
  test_case_effective_order: [Texts, Streams, number][];
  test_case_degenerate_stats: [Scoring, number, number][];
  test_bleu_max_order: [number, Texts, Streams, string][];
}
type Scoring = [[counts: number[], totals: number[]], hypothesisLength: number, referenceLength: number];

const { cases } = JSON.parse(golden("sacrebleu-test-cases.json")) as {
  cases: {
    test_bleu: OwnTests;
    test_sentence_bleu: Record<"REF" | "SYS" | "REF_0" | "SYS_0", string> &
      Record<"test_cases" | "test_cases_zero_bleu", [BleuSmoothing, number | null, boolean, BleuTokenizer, number][]>;
  };
};
const own = cases.test_bleu;

/** Untokenised, with a floor: how sacreBLEU's own tests compute. */
const raw = { tokenize: "none", smoothMethod: "floor", smoothValue: 0.01 } as const;

test("sacreBLEU's own tests of corpora hold", (t) => {
  const near = (value: number, expected: number, tolerance = 1e-8) =>
    t.true(Math.abs(value - expected) < tolerance, `${value} ${expected}`);
  for (const [hypotheses, references, expected] of own.test_raw_bleu_cases) {
    near(bleu(hypotheses, references, raw).score / 100, expected);
  }
  for (const [hypotheses, references, options, expected] of own.test_corpus_bleu_cases) {
    const { tokenize, smooth_method: smoothMethod } = options;
    const given = { ...(tokenize ? { tokenize } : {}), ...(smoothMethod ? { smoothMethod } : {}) };
    // Printed with fewer digits.
    near(bleu(hypotheses, references, given).score, expected, 1e-6);
  }
  for (const [hypotheses, references, tenth, none] of own.test_case_offset) {
    near(bleu(hypotheses, references, { ...raw, smoothValue: 0.1 }).score / 100, tenth);
    near(bleu(hypotheses, references, { ...raw, smoothValue: 0 }).score / 100, none);
  }
  for (const [hypotheses, references, [counts, totals]] of own.test_case_statistics) {
    const found = bleu(hypotheses, references, raw);
    t.deepEqual([found.counts, found.totals], [counts, totals]);
  }
  for (const [hypotheses, references, expected] of own.test_case_effective_order) {
    near(bleu(hypotheses, references, { ...raw, effectiveOrder: true }).score / 100, expected);
  }
  for (const [order, hypotheses, references, expected] of own.test_bleu_max_order) {
    t.is(bleu(hypotheses, references, { maxNgramOrder: order }).score.toFixed(2), expected);
  }
});

test("sacreBLEU's own tests of sums hold", (t) => {
  const score = ([[counts, totals], hypothesisLength, referenceLength]: Scoring, options: BleuOptions) =>
    scoreOf({ hypothesisLength, referenceLength, counts, totals }, checkBleu("test", options, false)).score / 100;
  for (const [sums, expected] of own.test_case_scoring) t.true(Math.abs(score(sums, {}) - expected) < 1e-8);
  for (const [sums, smoothValue, expected] of own.test_case_degenerate_stats) {
    t.is(score(sums, { smoothMethod: "floor", smoothValue }), expected);
  }
});

test("sacreBLEU's own tests of sentences hold", (t) => {
  const { REF, SYS, REF_0, SYS_0, test_cases, test_cases_zero_bleu } = cases.test_sentence_bleu;
  for (const [reference, hypothesis, all] of [
    [REF, SYS, test_cases] as const,
    [REF_0, SYS_0, test_cases_zero_bleu] as const,
  ]) {
    for (const [smoothMethod, smoothValue, lowercase, tokenize, expected] of all) {
      const options = { smoothMethod, lowercase, tokenize, ...(smoothValue === null ? {} : { smoothValue }) };
      const { score } = sentenceBleu(hypothesis, reference, options);
      t.true(Math.abs(score - expected) < 1e-3, `${JSON.stringify(options)}: ${score} ${expected}`);
    }
  }
});

type Scores = Record<string, number>;

/** Columns of a table by their names, or nothing if it is not there. */
function columns(path: string): ReadonlyMap<string, string[]> | undefined {
  const file = join(process.env.SCONCE_DATA ?? "", "conformance", path);
  if (process.env.SCONCE_DATA === undefined || !existsSync(file)) return undefined;
  const rows = gunzipSync(readFileSync(file)).toString("utf8").split("\n").filter(Boolean);
  const [names, ...lines] = rows.map((row) => row.split("\t"));
  return new Map(names!.map((name, index) => [name, lines.map((line) => line[index]!)]));
}

const wmt = JSON.parse(golden("bleu-wmt.json")) as {
  wmt17: { "13a": Scores; intl: Scores };
  wmt17Lowercase: Scores;
  wmt22: Record<"A" | "B" | "all", Scores>;
};

test("the systems of WMT have the scores that sacreBLEU gives them", (t) => {
  const german = columns("wmt17/wmt17.en-de.tsv.gz");
  const chinese = columns("wmt22/wmt22.en-zh.tsv.gz");
  if (german === undefined || chinese === undefined) {
    t.log("not tested: set SCONCE_DATA to the folder that holds conformance/wmt17 and conformance/wmt22");
    t.pass();
    return;
  }
  const compare = (table: typeof german, scores: Scores, references: string[], options: BleuOptions) => {
    const streams = references.map((name) => table.get(name)!);
    for (const [system, expected] of Object.entries(scores)) {
      const { score } = bleu(table.get(system)!, streams, options);
      t.true(Math.abs(score - expected) < 1e-9, `${system}: ${score} ${expected}`);
    }
  };
  for (const tokenize of ["13a", "intl"] as const) compare(german, wmt.wmt17[tokenize], ["ref"], { tokenize });
  compare(german, wmt.wmt17Lowercase, ["ref"], { lowercase: true });
  compare(chinese, wmt.wmt22.A, ["refA"], { tokenize: "zh" });
  compare(chinese, wmt.wmt22.B, ["refB"], { tokenize: "zh" });
  compare(chinese, wmt.wmt22.all, ["refA", "refB"], { tokenize: "zh" });
});
