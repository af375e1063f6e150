import test from "ava";
import { HelpRequest, readArguments, UsageError } from "../../bench/arguments.ts";
import { languageModel } from "../../bench/language-model.ts";
import { multi30kEpoch } from "../../bench/multi30k-epoch.ts";
import { transformerStep } from "../../bench/transformer-step.ts";
import { transformerTwin } from "../../bench/transformer-twin.ts";
import { Worker } from "../../bench/worker.ts";

function worker(program: string) {
  return new Worker({ command: process.execPath, parameters: ["-e", program] });
}

const echo = `
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const { command, value } = JSON.parse(line);
    console.log(JSON.stringify(command === "fail" ? { error: "no " + value } : { value: value + 1 }));
  });`;

test("answers come in the order of requests, and a failed request leaves the process usable", async (t) => {
  const process = worker(echo);
  const answers = [1, 2, 3].map((value) => process.ask({ command: "add", value }));
  t.deepEqual(await Promise.all(answers), [{ value: 2 }, { value: 3 }, { value: 4 }]);
  await t.throwsAsync(process.ask({ command: "fail", value: 5 }), { message: "no 5" });
  t.deepEqual(await process.ask({ command: "add", value: 6 }), { value: 7 });
  process.close();
});

test("a process that ends rejects what waits, with its last words", async (t) => {
  const process = worker(`console.error("first"); console.error("out of luck"); process.exitCode = 3`);
  await t.throwsAsync(process.ask({ command: "add" }), { message: /ended with 3: out of luck/ });
  await t.throwsAsync(process.ask({ command: "add" }), { message: /out of luck/ });
});

test("a program that does not exist rejects", async (t) => {
  const process = new Worker({ command: "/nowhere/python", parameters: [] });
  await t.throwsAsync(process.ask({ command: "describe" }), { message: /ENOENT/ });
});

test("a peer without an interpreter is said not to have run", async (t) => {
  await t.throwsAsync(new Worker({ command: "", parameters: [] }).ask({ command: "describe" }), {
    message: /--python/,
  });
});

test("the command line", (t) => {
  t.deepEqual(readArguments(["lstm-step", "--python", "py", "--case", "V8000", "--json"], 2), {
    name: "lstm-step",
    options: { python: "py", case: "V8000", json: true, threads: 2, percent: 100 },
  });
  t.deepEqual(readArguments(["transformer-twin", "--data", "there", "--updates", "7"], 2).options, {
    data: "there",
    updates: 7,
    json: false,
    threads: 2,
    percent: 100,
  });
  const environment = { SCONCE_DATA: "elsewhere" };
  t.is(readArguments(["tokenizer"], 2, environment).options.data, "elsewhere");
  t.is(readArguments(["tokenizer", "--data", "there"], 2, environment).options.data, "there");
  t.throws(() => readArguments(["--help"], 2), {
    instanceOf: HelpRequest,
    message: /transformer-step.*multi30k-epoch/,
  });
  for (const option of ["--updates", "--epochs", "--tokens", "--lines"]) {
    t.throws(() => readArguments(["transformer-twin", option, "0"], 2), { message: new RegExp(option) });
    t.throws(() => readArguments(["transformer-twin", option, "1.5"], 2), { message: new RegExp(option) });
  }
  t.throws(() => readArguments([], 2), { message: /usage/ });
  t.throws(() => readArguments(["memory", "--threads", "0"], 2), { message: /--threads/ });
  t.throws(() => readArguments(["memory", "--fast"], 2), { message: /--fast/ });
});

const options = { json: false, threads: 1, percent: 100 };

test("an unknown case is refused, and those that are known are named", async (t) => {
  const data = "/nowhere";
  await t.throwsAsync(transformerStep({ ...options, case: "V9" }), { instanceOf: UsageError, message: /V8000/ });
  await t.throwsAsync(multi30kEpoch({ ...options, data, case: "huge" }), { instanceOf: UsageError, message: /tiny/ });
  await t.throwsAsync(languageModel({ ...options, data, case: "huge" }), { instanceOf: UsageError, message: /cases/ });
  await t.throwsAsync(transformerTwin({ ...options, data, case: "huge" }), { instanceOf: UsageError, message: /tiny/ });
});

test("missing data are refused, and what the folder must hold is named", async (t) => {
  for (const bench of [multi30kEpoch, transformerTwin]) {
    const expected = { instanceOf: UsageError, message: /--data.*mt\/multi30k-en-de\.train\.tsv\.gz/ };
    await t.throwsAsync(bench(options), expected);
    await t.throwsAsync(bench({ ...options, data: "/nowhere" }), expected);
  }
  const expected = { instanceOf: UsageError, message: /--data.*lm\/wikitext-2\.train\.tokens\.gz/ };
  await t.throwsAsync(languageModel({ ...options, data: "/nowhere" }), expected);
});
