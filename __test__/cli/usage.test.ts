import { readFileSync } from "node:fs";
import test from "ava";
import { sconce } from "../helpers/run-command.ts";

const version = (JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version;

test("help and version are answers, not errors", async (t) => {
  const commands = ["train", "translate", "evaluate", "score", "inspect", "doctor", "average"];
  const help = await sconce(["--help"]);
  t.is(help.status, 0);
  for (const command of commands) {
    t.regex(help.output, new RegExp(`^ {2}${command} `, "m"));
    const own = await sconce([command, "--help"]);
    t.deepEqual([own.status, own.error], [0, ""]);
    t.regex(own.output, new RegExp(`^Usage: sconce ${command}`));
    t.regex(own.output, /--json/);
    t.regex(own.output, new RegExp(`^Example: .*sconce ${command} `, "m"));
    t.true(own.output.split("\n").every((line) => line.length <= 140));
  }
  t.deepEqual(await sconce(["--version"]), { status: 0, output: `${version}\n`, error: "" });
});

const usage: [args: string[], message: RegExp][] = [
  [[], /no command given; known are train/],
  [["fly"], /unknown command "fly"/],
  [["toString"], /unknown command "toString"/],
  [["train"], /--train is missing/],
  [["train", "--train", "data/README.md"], /--out is missing/],
  [
    ["train", "--train", "a", "--out", "b", "--epochs", "many"],
    /--epochs: expected an integer of at least 1, got "many"/,
  ],
  [["train", "--train", "a", "--out", "b", "--epochs", "0"], /--epochs: expected an integer of at least 1, got 0/],
  [
    ["train", "--train", "a", "--out", "b", "--dropout", "1.5"],
    /--dropout: expected a number from 0 to below 1, got 1.5/,
  ],
  [
    ["train", "--train", "a", "--out", "b", "--optimizer", "adan"],
    /--optimizer: expected the name of an optimiser.* got "adan"; did you mean adam\?/,
  ],
  [
    ["train", "--train", "a", "--out", "b", "--format", "parket"],
    /--format: expected one of tsv, csv, jsonl, parquet, got "parket"; did you mean parquet\?/,
  ],
  [["train", "--train", "a", "--out", "b", "--columns", "1"], /--columns: expected a list of two columns/],
  [["train", "--train", "a", "--out", "b", "--valid-target", "c"], /--valid is missing/],
  [["train", "--train", "a", "--out", "b", "--set", "units"], /--set must be PLACE=VALUE/],
  [
    ["train", "--train", "a", "--out", "b", "--set", "model.unit=5"],
    /--set model.unit is unknown; did you mean units\?/,
  ],
  [["train", "--train", "a", "--out", "b", "--threads", "0"], /--threads: expected an integer of at least 1/],
  [["train", "--fly"], /Unknown option '--fly'/],
  [["train", "a.json", "b.json"], /unexpected argument b.json/],
  [["translate"], /DIR is missing/],
  [["translate", "a", "b", "c"], /unexpected argument c/],
  [["translate", "a", "--batch-size", "0"], /--batch-size must be an integer of at least 1, got 0/],
  [["translate", "a", "--max-new-tokens"], /max-new-tokens.*argument missing/i],
  [["evaluate", "a"], /--test is missing/],
  [
    ["evaluate", "a", "--test", "b", "--keys", "source,"],
    /--keys: expected a list of two keys, for source and target, got \["source",""\]/,
  ],
  [["evaluate", "a", "--test", "b.jsonl", "--columns", "0,1"], /columns has no meaning for JSON Lines/],
  [["doctor", "now"], /unexpected argument now/],
];

for (const [args, message] of usage) {
  test(`bad usage is status 2 and one line: ${args.join(" ")}`, async (t) => {
    const { status, output, error } = await sconce(args);
    t.deepEqual([status, output], [2, ""]);
    t.regex(error, message);
    t.regex(error, /^sconce[^\n]*see [^\n]*--help\n$/);
  });
}

test("what is not there is status 1 and one line with a remedy", async (t) => {
  for (const args of [
    ["translate", "/nowhere"],
    ["evaluate", "/nowhere", "--test", "data/tatoeba-en-zh.test.tsv.gz"],
    ["train", "--train", "/nowhere/pairs.tsv", "--out", "/nowhere/out"],
    ["train", "/nowhere/config.json"],
  ]) {
    const { status, output, error } = await sconce(args);
    t.deepEqual([status, output], [1, ""]);
    t.regex(error, /^sconce [a-z]+: [^\n]*\/nowhere[^\n]*; check the path and its permissions\n$/);
  }
});
