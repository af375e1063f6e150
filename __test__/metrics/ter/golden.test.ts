import test from "ava";
import { sentenceTer, ter } from "../../../src/index.ts";
import { camelCase, goldenMetrics, near, withoutVersion } from "../../helpers/metrics.ts";

interface Case {
  hypotheses: string[];
  references: (string | null)[][];
  options: Record<string, unknown>;
  signature: string;
  score: number;
  numEdits: number;
  refLength: number;
}

const { ter: cases } = goldenMetrics<{ ter: Case[] }>("chrf-ter.json");

test("random corpora have sacreBLEU's TER, edits and signature", (t) => {
  for (const [number, { hypotheses, references, options, signature, ...expected }] of cases.entries()) {
    const where = `case ${number}: ${JSON.stringify(options)}`;
    const found = ter(hypotheses, references, camelCase(options));
    t.true(near(found.score, expected.score), `${where}: ${found.score} instead of ${expected.score}`);
    t.is(found.numEdits, expected.numEdits, where);
    t.true(near(found.refLength, expected.refLength), where);
    t.is(withoutVersion(found.signature), withoutVersion(signature), where);
    if (hypotheses.length > 1) continue;
    const own = references.flatMap(([text]) => text ?? []);
    t.is(sentenceTer(hypotheses[0]!, own, camelCase(options)).score, found.score);
  }
});
