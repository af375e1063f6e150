import test from "ava";
import { chrf, sentenceChrf } from "../../../src/index.ts";
import { camelCase, goldenMetrics, near, withoutVersion } from "../../helpers/metrics.ts";

interface Case {
  hypotheses: string[];
  references: (string | null)[][];
  options: Record<string, unknown>;
  signature: string;
  name: string;
  score: number;
}

const { chrf: cases } = goldenMetrics<{ chrf: Case[] }>("chrf-ter.json");

test("random corpora have sacreBLEU's chrF, name and signature", (t) => {
  for (const [number, { hypotheses, references, options, signature, name, score }] of cases.entries()) {
    const where = `case ${number}: ${JSON.stringify(options)}`;
    const found = chrf(hypotheses, references, camelCase(options));
    t.true(near(found.score, score), `${where}: ${found.score} instead of ${score}`);
    t.is(found.name, name, where);
    t.is(withoutVersion(found.signature), withoutVersion(signature), where);
    if (hypotheses.length > 1) continue;
    const own = references.flatMap(([text]) => text ?? []);
    t.is(sentenceChrf(hypotheses[0]!, own, camelCase(options)).score, found.score);
  }
});
