import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test from "ava";
import { bleu, chrf, pairedBootstrap, rouge, scoreTexts, ter } from "../../src/index.ts";
import { sconce } from "../helpers/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-score-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const references = ["the dog bit the man", "it was not unexpected", "a cat sat on the mat", ""];
const others = ["the dog had bitten the man", "it was expected", "the cat sat on a mat", ""];
const first = ["the dog bit a man", "it was", "on the mat sat a cat", ""];
const second = ["The dog bit the man", "it was not unexpected", "a cat sat on the mat", "more"];

function write(name: string, lines: readonly string[]): string {
  const text = `${lines.join("\n")}\n`;
  writeFileSync(join(folder, name), name.endsWith(".gz") ? gzipSync(text) : text);
  return join(folder, name);
}

const files = {
  references: write("references.txt.gz", references),
  others: write("others.txt", others),
  first: write("first.txt", first),
  second: write("second.txt", second),
};

test("score prints every metric with its signature", async (t) => {
  const args = ["score", files.first, "--references", files.references, "--references", files.others];
  const { status, output, error } = await sconce([...args, "--metrics", "bleu,chrf++,ter,rougeL"]);
  t.is(status, 0, error);
  const streams = [references, others];
  const [one, two, three] = [bleu(first, streams), chrf(first, streams, { wordOrder: 2 }), ter(first, streams)];
  const four = rouge(first, streams, { types: ["rougeL"] });
  t.is(
    output,
    [
      `bleu ${one.score.toFixed(2)} (${one.signature})`,
      `chrf++ ${two.score.toFixed(2)} (${two.signature})`,
      `ter ${three.score.toFixed(2)} (${three.signature})`,
      `rougeL ${four.scores.rougeL!.fmeasure.toFixed(4)} (${four.signature})`,
      "",
    ].join("\n"),
  );
});

test("score reads standard input, sets options, and gives ranges", async (t) => {
  const { status, output, error } = await sconce(
    ["score", "-", "--references", files.references, "--metrics", "bleu,chrf,ter", "--tokenize", "char", "--lowercase"]
      .concat(["--set", "bleu.smoothMethod=floor", "--set", "ter.caseSensitive=true", "--set", "chrf.beta=3"])
      .concat(["--confidence", "--samples", "50", "--seed", "7", "--json"]),
    `${second.join("\n")}\n`,
  );
  t.is(status, 0, error);
  const expected = await scoreTexts(second, references, {
    metrics: ["bleu", "chrf", "ter"],
    bleu: { tokenize: "char", lowercase: true, smoothMethod: "floor" },
    chrf: { lowercase: true, beta: 3 },
    ter: { caseSensitive: true },
    bootstrap: { samples: 50, seed: 7 },
  });
  t.deepEqual(JSON.parse(output), { systems: [{ file: "-", scores: JSON.parse(JSON.stringify(expected)) }] });
});

test("score compares systems", async (t) => {
  const args = ["score", files.first, files.second, "--references", files.references, "--paired", "--samples", "60"];
  const { status, output, error } = await sconce([...args, "--metrics", "chrf,squadF1", "--json"]);
  t.is(status, 0, error);
  const { comparisons } = JSON.parse(output) as { comparisons: unknown[] };
  const expected = (["chrf", "squadF1"] as const).map((metric) => {
    const { difference, interval, pValue } = pairedBootstrap(first, second, references, { metric, samples: 60 });
    return { file: files.second, metric, difference, interval, pValue };
  });
  t.deepEqual(comparisons, expected);
  const text = await sconce([...args, "--metrics", "chrf"]);
  t.regex(
    text.output,
    /^first\.txt: chrf .*\nsecond\.txt: chrf .*\nsecond\.txt against first\.txt: chrf \+\d+\.\d\d, 95 % /,
  );
});

test("wrong usage and wrong files are refused", async (t) => {
  const refused = async (args: string[], message: RegExp, status = 2) => {
    const ended = await sconce(["score", ...args]);
    t.is(ended.status, status, ended.error);
    t.regex(ended.error, message);
  };
  await refused([], /HYPOTHESES is missing/);
  await refused([files.first], /--references is missing/);
  await refused([files.first, "--references", files.references, "--paired"], /--paired needs the texts of two systems/);
  await refused([files.first, "--references", files.references, "--seed", "1"], /need --confidence or --paired/);
  await refused(
    [files.first, "--references", files.references, "--metrics", "blue"],
    /metrics must be one of bleu, chrf/,
  );
  await refused([files.first, "--references", files.references, "--set", "x.y=1"], /--set must be an option of bleu/);
  await refused([files.first, "--references", files.references, "--set", "ter.y=1"], /ter: unknown option "y"/);
  const short = write("short.txt", ["one"]);
  await refused([files.first, "--references", short], /expected 4 texts in references/, 1);
  await refused([join(folder, "missing.txt"), "--references", short], /missing\.txt/, 1);
});
