import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Seq2Seq } from "../../src/index.ts";
import { translatorOf } from "../decoding/hugging-face.ts";
import { sconce } from "../helpers/run-command.ts";

const lines = "abcde\nponm\n";

test("flags of translate say how translations are searched for", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sconce-translate-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const model = join(folder, "model");
  await (await translatorOf("marian")).save(model);
  const translator = await Seq2Seq.load(model);
  const run = async (...flags: string[]) => {
    const { status, output, error } = await sconce(["translate", model, "--max-new-tokens", "12", ...flags], lines);
    t.is(status, 0, error);
    return output;
  };
  const texts = lines.trim().split("\n");
  const beams = await translator.generate(texts, {
    maxNewTokens: 12,
    numBeams: 4,
    lengthPenalty: 0.6,
    numReturnSequences: 2,
    earlyStopping: "never",
    noRepeatNgramSize: 2,
    repetitionPenalty: 1.1,
  });
  const flags = ["--beams", "4", "--length-penalty", "0.6", "--n-best", "2", "--early-stopping", "never"];
  flags.push("--no-repeat-ngram", "2", "--repetition-penalty", "1.1");
  t.deepEqual(
    (await run(...flags)).trimEnd().split("\n"),
    beams.flatMap(({ text, alternatives }) => [text, ...alternatives!.map((other) => other.text)]),
  );
  const { translations } = JSON.parse(await run(...flags, "--json")) as {
    translations: { source: string; text: string; score: number; alternatives: { text: string; score: number }[] }[];
  };
  t.deepEqual(
    translations,
    beams.map(({ text, score, alternatives }, index) => ({
      source: texts[index]!,
      text,
      score,
      alternatives: alternatives!.map((other) => ({ text: other.text, score: other.score })),
    })),
  );
  const drawn = await translator.generate(texts, {
    ...{ maxNewTokens: 12, doSample: true, seed: 4, temperature: 1.5, topK: 9, topP: 0.9, minP: 0.01, typicalP: 0.95 },
    ...{ minNewTokens: 3, targetPrefix: "a" },
  });
  const sampling = ["--sample", "--seed", "4", "--temperature", "1.5", "--top-k", "9", "--top-p", "0.9"];
  sampling.push("--min-p", "0.01", "--typical-p", "0.95", "--min-new-tokens", "3", "--prefix", "a");
  t.is(await run(...sampling, "--batch-size", "1"), drawn.map(({ text }) => `${text}\n`).join(""));
  const other = join(folder, "other");
  await (await translatorOf("bart")).save(other);
  const both = Seq2Seq.ensemble([translator, await Seq2Seq.load(other)], { weights: [1, 2.5] });
  const branches = await both.generate(texts, {
    ...{ maxNewTokens: 12, numReturnSequences: 3, returnAlternatives: true, targetPrefix: "b" },
  });
  const together = [
    "--ensemble",
    other,
    "--ensemble-weights",
    "1,2.5",
    "--n-best",
    "3",
    "--alternatives",
    "--prefix",
    "b",
  ];
  t.deepEqual(
    (await run(...together)).trimEnd().split("\n"),
    branches.flatMap(({ text, alternatives }) => [text, ...alternatives!.map((one) => one.text)]),
  );
  for (const [wrong, message] of [
    [["--ensemble-weights", "1,0"], /--ensemble-weights must be numbers above 0 with commas between them, got 1,0/],
    [["--ensemble", other, "--ensemble-weights", "1"], /weights must be a list of 2 numbers/],
    [["--alternatives", "--sample"], /returnAlternatives goes on with the best tokens/],
    [["--beams", "0"], /--beams must be an integer of at least 1, got 0/],
    [["--early-stopping", "later"], /--early-stopping must be true, false or never, got later/],
    [["--n-best", "2"], /numReturnSequences is 2, but greedy search gives one/],
    [["--temperature", "0"], /temperature must be above 0/],
  ] as const) {
    const { status, error } = await sconce(["translate", model, ...wrong], lines);
    t.not(status, 0);
    t.regex(error, message);
  }
});
