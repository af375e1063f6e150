import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import test from "ava";
import { scoreTexts, ter } from "../../../src/index.ts";
import { goldenMetrics, near } from "../../helpers/metrics.ts";

type Scores = Record<string, number>;

const golden = goldenMetrics<{
  wmt17: Record<"chrf++" | "ter" | "terNormalized", Scores>;
  wmt22: Record<"chrf" | "ter", Scores>;
}>("chrf-ter-wmt.json");

const folder = join(process.env.SCONCE_DATA ?? "", "conformance");
const german = "wmt17/wmt17.en-de.tsv.gz";
const chinese = "wmt22/wmt22.en-zh.tsv.gz";
const published = "wmt22/wmt22.en-zh.published-scores.tsv";
const isThere = process.env.SCONCE_DATA !== undefined && existsSync(join(folder, german));

function table(path: string): string[][] {
  const bytes = readFileSync(join(folder, path));
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  const rows = text.split("\n").filter(Boolean);
  return rows.map((row) => row.split("\t"));
}

function columns(path: string): (name: string) => string[] {
  const [names, ...rows] = table(path);
  return (name) => rows.map((row) => row[names!.indexOf(name)]!);
}

test("systems of WMT have the chrF and TER that sacreBLEU gives them", async (t) => {
  if (!isThere) {
    t.log("not tested: set SCONCE_DATA to the folder that holds conformance/wmt17 and conformance/wmt22");
    t.pass();
    return;
  }
  const { wmt17, wmt22 } = golden;
  const first = columns(german);
  for (const metric of ["chrf++", "ter"] as const) {
    for (const [system, expected] of Object.entries(wmt17[metric])) {
      const scores = await scoreTexts(first(system), first("ref"), { metrics: [metric] });
      t.true(near(scores[metric]!.score, expected), `${system}, ${metric}: ${scores[metric]!.score} ${expected}`);
    }
  }
  const normalized = { normalized: true, caseSensitive: true };
  for (const [system, expected] of Object.entries(wmt17.terNormalized)) {
    t.true(near(ter(first(system), first("ref"), normalized).score, expected), system);
  }
  const second = columns(chinese);
  for (const [system, expected] of Object.entries(wmt22.chrf)) {
    const scores = await scoreTexts(second(system), [second("refB"), second("refA")], { metrics: ["chrf"] });
    t.true(near(scores.chrf!.score, expected), system);
  }
  for (const [system, expected] of Object.entries(wmt22.ter)) {
    const { score } = ter(second(system), second("refA"), { normalized: true, asianSupport: true });
    t.true(near(score, expected), system);
  }
});

test("systems of WMT22 have the scores that were published", async (t) => {
  if (!isThere) {
    t.log("not tested: set SCONCE_DATA to the folder that holds conformance/wmt22");
    t.pass();
    return;
  }
  const texts = columns(chinese);
  const rows = table(published).slice(1);
  // With several references chrF depends on their order: this is that of the organisers.
  const references: Record<string, string[]> = { A: ["refA"], B: ["refB"], all: ["refB", "refA"] };
  t.true(rows.length > 70);
  for (const [, system, , , kind, value] of rows) {
    const [name, which] = kind!.split("-") as ["bleu" | "chrf", string];
    const scores = await scoreTexts(texts(system!), references[which]!.map(texts), {
      metrics: [name],
      bleu: { tokenize: "zh" },
    });
    const found = scores[name]!.score;
    t.true(near(found, Number(value), 1e-9), `${system}, ${kind}: ${found} instead of ${value}`);
  }
});
