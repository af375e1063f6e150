import test from "ava";
import { readArguments } from "../../bench/arguments.ts";
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
  t.throws(() => readArguments([], 2), { message: /usage/ });
  t.throws(() => readArguments(["memory", "--threads", "0"], 2), { message: /--threads/ });
  t.throws(() => readArguments(["memory", "--fast"], 2), { message: /--fast/ });
});
