import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { loadModel } from "../../src/index.ts";
import { sconce, startScript } from "../helpers/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-cli-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** A cipher: each letter becomes the next one. */
function writePairs(name: string, count: number): string {
  const path = join(folder, name);
  const lines = Array.from({ length: count }, (_, index) => {
    const word = (index * 7919).toString(26).replace(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)]!);
    const cipher = word.replace(/[a-z]/g, (letter) => String.fromCharCode(97 + ((letter.charCodeAt(0) - 96) % 26)));
    return `${word}\t${cipher}\n`;
  });
  writeFileSync(path, lines.join(""));
  return path;
}

const pairs = writePairs("pairs.tsv", 600);
const small = ["--units", "16", "--embedding", "8", "--batch-size", "16", "--source-type", "character"];
const options = ["--train", pairs, ...small, "--target-type", "character", "--save-every", "5"];

test("train, evaluate and translate; a trained model is not written over", async (t) => {
  const out = join(folder, "whole");
  const trained = await sconce(["train", ...options, "--valid", pairs, "--out", out, "--epochs", "2", "--json"]);
  t.is(trained.status, 0, trained.error);
  const result = JSON.parse(trained.output) as {
    history: Record<string, number[]>;
    validation: { loss: number; pairs: number };
  };
  t.is(result.history.loss!.length, 2);
  t.true(result.history.loss![1]! < result.history.loss![0]!);
  t.deepEqual(readdirSync(out).sort(), ["best", "config.yaml", "last", "log.csv", "result.json", "samples.txt"]);
  t.deepEqual(JSON.parse(readFileSync(join(out, "result.json"), "utf8")), result);
  t.regex(readFileSync(join(out, "log.csv"), "utf8"), /^epoch,.*valLoss.*\n0,.*\n1,.*\n$/);
  t.regex(readFileSync(join(out, "samples.txt"), "utf8"), /^epoch 1\n( {2}.* -> .*\n){2}epoch 2\n( {2}.* -> .*\n){2}$/);
  t.regex(readFileSync(join(out, "config.yaml"), "utf8"), /^ {2}units: 16$/m);

  const evaluated = await sconce(["evaluate", out, "--test", pairs, "--json"]);
  t.is(evaluated.status, 0, evaluated.error);
  t.deepEqual(JSON.parse(evaluated.output), result.validation);
  t.is(result.validation.pairs, 600);
  t.regex(
    (await sconce(["evaluate", out, "--test", pairs])).output,
    /^600 pairs, \d+ tokens: loss [\d.]+, perplexity [\d.]+, token accuracy [\d.]+, exact match [\d.]+\n$/,
  );

  const less = await sconce(["evaluate", out, "--test", pairs, "--metrics", "loss", "--json"]);
  t.is((JSON.parse(less.output) as { exactMatch?: number }).exactMatch, undefined);
  const wrong = await sconce(["evaluate", out, "--test", pairs, "--metrics", "blue"]);
  t.is(wrong.status, 2);
  t.regex(wrong.error, /metrics must be one of loss, perplexity, tokenAccuracy, exactMatch, bleu, .*, got "blue"/);

  const translated = await sconce(["translate", out], "abc\n\nxyz");
  t.is(translated.status, 0, translated.error);
  const lines = translated.output.split("\n");
  t.is(lines.length, 4);
  t.is(lines[1], "");
  const json = await sconce(["translate", out, "-", "--json", "--batch-size", "1"], "abc\r\n\nxyz\n");
  const { translations } = JSON.parse(json.output) as { translations: { source: string; text: string }[] };
  t.deepEqual(
    translations.map(({ source }) => source),
    ["abc", "", "xyz"],
  );
  t.deepEqual(
    translations.map(({ text }) => text),
    lines.slice(0, 3),
  );

  const inspected = await sconce(["inspect", out, "--json"]);
  t.is(inspected.status, 0, inspected.error);
  const { source, decoder } = JSON.parse(inspected.output) as { source: object; decoder: { layer: string }[] };
  t.like(source, { type: "character", size: 30 });
  t.true(decoder.some(({ layer }) => layer === "decoder"));
  t.regex((await sconce(["inspect", out])).output, /character tokenizer with 30 tokens/);

  const again = await sconce(["train", ...options, "--out", out]);
  t.is(again.status, 1);
  t.regex(again.error, /holds a trained model already/);
});

test("pairs in any format train the same model", async (t) => {
  const rows = readFileSync(pairs, "utf8")
    .trim()
    .split("\n")
    .slice(0, 60)
    .map((line) => line.split("\t"));
  const write = (name: string, content: string) => writeFileSync(join(folder, name), content);
  const place = (name: string) => join(folder, name);
  write("few.tsv", rows.map(([source, target]) => `${source}\t${target}\n`).join(""));
  write("few.csv", `id,cipher,word\r\n${rows.map(([source, target]) => `1,"${target}",${source}\r\n`).join("")}`);
  write("few.jsonl", rows.map(([a, b]) => `${JSON.stringify({ translation: { a, b } })}\n`).join(""));
  write("few.a", rows.map(([source]) => `${source}\n`).join(""));
  write("few.b", rows.map(([, target]) => `${target}\n`).join(""));
  const cases: Record<string, string[]> = {
    "few.tsv": [],
    "few.csv": ["--columns", "word,cipher"],
    "few.jsonl": ["--keys", "translation.a,translation.b"],
    "few.a": ["--train-target", place("few.b"), "--valid-target", place("few.b")],
  };
  const losses: unknown[] = [];
  for (const [name, flags] of Object.entries(cases)) {
    const given = ["--train", place(name), "--valid", place(name), "--out", place(`out-${name}`), ...flags];
    const trained = await sconce(["train", ...small, ...given, "--epochs", "1", "--json"]);
    t.is(trained.status, 0, trained.error);
    losses.push((JSON.parse(trained.output) as { history: object }).history);
  }
  for (const loss of losses) t.deepEqual(loss, losses[0]);
  const evaluated = [];
  for (const [name, flags] of [
    ["few.tsv", []],
    ["few.csv", ["--columns", "word,cipher"]],
    ["few.a", ["--test-target", place("few.b")]],
  ] as [string, string[]][]) {
    const { status, output, error } = await sconce([
      "evaluate",
      place("out-few.tsv"),
      "--test",
      place(name),
      ...flags,
      "--json",
    ]);
    t.is(status, 0, error);
    evaluated.push(JSON.parse(output));
  }
  t.is(evaluated[0].pairs, 60);
  for (const values of evaluated) t.deepEqual(values, evaluated[0]);
});

test("input that is not UTF-8 is an error of the data", async (t) => {
  const out = join(folder, "bytes");
  t.is((await sconce(["train", ...options, "--out", out, "--epochs", "1", "--json"])).status, 0);
  const path = join(folder, "bad.txt");
  writeFileSync(path, Buffer.from([0x61, 0x0a, 0xff, 0x0a]));
  const { status, error } = await sconce(["translate", out, path]);
  t.is(status, 1);
  t.regex(error, /line 2: not valid UTF-8/);
});

test("Ctrl-C saves a checkpoint, and the same command ends like an uninterrupted run", async (t) => {
  const command = (out: string) => ["train", ...options, "--out", join(folder, out), "--epochs", "15", "--json"];
  const whole = await sconce(command("uninterrupted"));
  t.is(whole.status, 0, whole.error);

  const { child, ended } = startScript("src/cli/main.ts", command("interrupted"));
  const checkpoint = join(folder, "interrupted", "checkpoint");
  while (!existsSync(checkpoint) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGINT");
  const stopped = await ended;
  t.is(stopped.status, 1, stopped.error);
  t.is(stopped.output, "");
  t.regex(stopped.error, /interrupted: a checkpoint is in .*; run the same command again to resume\n$/);

  const other = await sconce([...command("interrupted"), "--seed", "5"]);
  t.is(other.status, 1);
  t.regex(other.error, /a run with training.seed 0: give the same configuration/);

  const resumed = await sconce(command("interrupted"));
  t.is(resumed.status, 0, resumed.error);
  const history = ({ output }: { output: string }) => (JSON.parse(output) as { history: unknown }).history;
  t.deepEqual(history(resumed), history(whole));
  for (const name of ["log.csv", "samples.txt"]) {
    t.is(
      readFileSync(join(folder, "interrupted", name), "utf8"),
      readFileSync(join(folder, "uninterrupted", name), "utf8"),
    );
  }
  const weights = async (out: string) => (await loadModel(join(folder, out, "last"))).getWeights();
  t.deepEqual(await weights("interrupted"), await weights("uninterrupted"));
});

test("without --json two pairs are shown after each epoch, with what they should become", async (t) => {
  const { status, output, error } = await sconce([
    "train",
    ...options,
    "--out",
    join(folder, "shown"),
    "--epochs",
    "2",
  ]);
  t.is(status, 0, error);
  const known = readFileSync(pairs, "utf8").split("\n");
  const samples = [...output.matchAll(/^ {2}(.+) -> .* \((.+)\)$/gm)].map(
    ([, source, target]) => `${source}\t${target}`,
  );
  t.is(samples.length, 4);
  t.deepEqual(samples.slice(2), samples.slice(0, 2));
  t.true(samples.every((sample) => known.includes(sample)));
});

test("other files in the folder are left alone", async (t) => {
  const other = join(folder, "other");
  mkdirSync(other);
  writeFileSync(join(other, "mine.txt"), "");
  const { status, error } = await sconce(["train", ...options, "--out", other]);
  t.is(status, 1);
  t.regex(error, /holds other files: choose another --out\n$/);
  t.deepEqual(readdirSync(other), ["mine.txt"]);
});
