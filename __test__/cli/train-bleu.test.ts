import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { sconce } from "../helpers/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-train-bleu-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

test("a run is limited by updates, validated by translations, and keeps its last models", async (t) => {
  const words = ["ab", "ba", "abb", "bab", "aab", "bba", "abab", "baba"];
  const file = join(folder, "pairs.tsv");
  writeFileSync(file, words.map((word) => `${[...word].join(" ")}\t${[...word].reverse().join(" ")}\n`).join(""));
  const out = join(folder, "run");
  const { status, error } = await sconce(
    [
      "train",
      "--train",
      file,
      "--valid",
      file,
      "--out",
      out,
      "--units",
      "8",
      "--batch-size",
      "4",
      "--max-updates",
      "7",
    ].concat(
      ["--valid-metrics", "bleu,exactMatch", "--monitor", "valBleu", "--keep-models", "2", "--label-smoothing", "0.1"],
      ["--set", "generation.maxNewTokens=6", "--json"],
    ),
  );
  t.is(status, 0, error);
  // Two updates an epoch.
  t.deepEqual(readdirSync(join(out, "models")).sort(), ["epoch-0003", "epoch-0004"]);
  const [head, ...rows] = readFileSync(join(out, "log.csv"), "utf8").trimEnd().split("\n");
  t.true(head!.includes("valBleu") && head!.includes("valExactMatch"), head);
  t.is(rows.length, 4);
  const result = JSON.parse(readFileSync(join(out, "result.json"), "utf8")) as {
    history: { valBleu: number[] };
    validation: { bleu: number };
  };
  // The best model is the first with the largest value.
  t.true(Math.abs(result.validation.bleu - Math.max(...result.history.valBleu)) < 1e-9);

  const models = readdirSync(join(out, "models")).map((name) => join(out, "models", name));
  const mean = await sconce(["average", ...models, "--out", join(folder, "mean"), "--json"]);
  t.is(mean.status, 0, mean.error);
  const wrong = await sconce(["train", "--train", file, "--out", join(folder, "x"), "--valid-metrics", "bleu"]);
  t.is(wrong.status, 2);
  t.regex(wrong.error, /--valid-metrics needs pairs to translate: give data\.valid/);
  const unknown = await sconce(["train", "--train", file, "--out", join(folder, "x"), "--monitor", "valBleu"]);
  t.is(unknown.status, 2);
  t.regex(unknown.error, /--monitor: valBleu is not logged; there are loss, accuracy/);
});
