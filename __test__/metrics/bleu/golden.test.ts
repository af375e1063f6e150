import { readFileSync } from "node:fs";
import test from "ava";
import { bleu } from "../../../src/index.ts";
import { corpusStatistics } from "../../../src/metrics/bleu/bleu.ts";
import { type BleuOptions, checkBleu } from "../../../src/metrics/bleu/options.ts";
import { bootstrap } from "../../../src/metrics/bleu/paired-bootstrap.ts";
import { type BleuTokenizer, bleuTokenizers } from "../../../src/metrics/bleu/tokenizers.ts";

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

const golden = JSON.parse(readFileSync(new URL("../../golden/metrics/bleu.json", import.meta.url), "utf8")) as Golden;

function camelCase(options: Record<string, unknown>): BleuOptions {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), value]),
  );
}

const near = (value: number, expected: number, tolerance = 1e-9) =>
  Math.abs(value - expected) <= tolerance * Math.max(1, Math.abs(expected));

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
    const version = /version:(.*)$/;
    t.is(found.signature.replace(version, ""), signature.replace(version, ""), where);
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
    const words = (text: string) => bleuTokenizers[name](text).length;
    const other = characters.filter(
      (character, index) =>
        `${words(`a${character}b`)}${words(`1${character}2`)}` !== expected.slice(2 * index, 2 * index + 2),
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
    const options = checkBleu("test", {}, false);
    const own = references[0]!.map((text) => [text]);
    const found = bootstrap(
      corpusStatistics(baseline, own, options),
      corpusStatistics(system, own, options),
      indices.map((sample) => Uint32Array.from(sample)),
      options,
    );
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
