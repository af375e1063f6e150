import test from "ava";
import { bleu } from "../../../src/index.ts";
import { bleuMetric } from "../../../src/metrics/bleu/bleu.ts";
import type { BleuTokenizer } from "../../../src/metrics/bleu/options.ts";
import { compare } from "../../../src/metrics/text/bootstrap.ts";
import { checkedTexts } from "../../../src/metrics/text/references.ts";
import { statistics } from "../../../src/metrics/text/statistics.ts";
import { camelCase, goldenMetrics, near, sumsOver, withoutVersion } from "../../helpers/metrics.ts";

interface Case {
  hypotheses: string[];
  references: (string | null)[][];
  options: Record<string, unknown>;
  signature: string;
  score: number;
  precisions: number[];
  bp: number;
  ratio: number;
  counts: number[];
  totals: number[];
  sysLen: number;
  refLen: number;
}

interface Golden {
  sacrebleu: string;
  cases: Case[];
  skipped: number[];
  characters: Record<Exclude<BleuTokenizer, "none">, string>;
  paired: {
    baseline: string[];
    system: string[];
    references: string[][];
    indices: number[][];
    results: { score: number; mean: number; ci: number }[];
    pValue: number;
  }[];
}

const golden = goldenMetrics<Golden>("bleu.json");

test("random corpora give every field of sacreBLEU", (t) => {
  for (const [number, { hypotheses, references, options, signature, ...expected }] of golden.cases.entries()) {
    const found = bleu(hypotheses, references, camelCase(options));
    const where = `case ${number}: ${JSON.stringify(options)}`;
    for (const [name, value] of Object.entries(expected)) {
      const own = [found[name as keyof typeof expected]].flat();
      const theirs = [value].flat();
      t.is(own.length, theirs.length, `${where}: ${name}`);
      t.true(
        own.every((entry, index) => near(entry, theirs[index]!)),
        `${where}: ${name} is ${own}, expected ${theirs}`,
      );
    }
    t.is(withoutVersion(found.signature), withoutVersion(signature), where);
    t.regex(found.signature, /\|version:sconce-\d+\.\d+\.\d+/);
  }
});

test("every character is cut as sacreBLEU cuts it", (t) => {
  const skipped = new Set(golden.skipped);
  const codes: number[] = [];
  for (let code = 0x20; code < 0x3000; code += 1) codes.push(code);
  for (let code = 0x3000; code < 0x10000; code += 7) codes.push(code);
  for (let code = 0x10000; code < 0x20000; code += 97) codes.push(code);
  const characters = codes.filter((code) => !skipped.has(code)).map((code) => String.fromCodePoint(code));
  for (const name of ["13a", "zh", "intl", "char"] as const) {
    const expected = golden.characters[name];
    t.is(expected.length, 2 * characters.length);
    const texts = characters.flatMap((character) => [`a${character}b`, `1${character}2`]);
    const metric = bleuMetric("test", { tokenize: name });
    const [counted] = statistics(metric, [checkedTexts("test", texts, texts)]);
    const words = (text: number) => counted!.rows[text * counted!.width];
    const other = characters.filter(
      (_, index) => `${words(2 * index)}${words(2 * index + 1)}` !== expected.slice(2 * index, 2 * index + 2),
    );
    t.deepEqual(
      other.map((character) => character.codePointAt(0)!.toString(16)),
      [],
      name,
    );
  }
});

test("a paired bootstrap on given samples has sacreBLEU's means, ranges and probability", (t) => {
  for (const { baseline, system, references, indices, results, pValue } of golden.paired) {
    const metric = bleuMetric("test", {});
    const [one, two] = statistics(
      metric,
      [baseline, system].map((texts) => checkedTexts("test", texts, references)),
    );
    const sums = { baseline: sumsOver(one!, indices), system: sumsOver(two!, indices) };
    const found = compare(one!, two!, metric.score, sums);
    for (const [name, expected] of [["baseline", results[0]!] as const, ["system", results[1]!] as const]) {
      for (const field of ["score", "mean", "ci"] as const) {
        // sacreBLEU divides what it has drawn in 32 bits.
        t.true(
          near(found[name][field], expected[field], 1e-6),
          `${name} ${field}: ${found[name][field]} ${expected[field]}`,
        );
      }
    }
    t.is(found.pValue, pValue);
  }
});
