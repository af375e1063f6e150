// `npm run fuzz -- --target NAME --inputs N --seed S [--from I] [--out FILE]`: reads mutated inputs in child processes, which may die or
// hang. Without --target all are read, one after the other. Each finding is printed with the line that repeats it, and
// appended to FILE; exit status 1 if there is one.
import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const names =
  "config graph model weights optimizer state tokenizer tokenizerFile sentencePiece vocabulary merges seq2seq glove tsv csv jsonl parquet".split(
    " ",
  );
const { values } = parseArgs({
  options: {
    target: { type: "string" },
    inputs: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    out: { type: "string" },
  },
});
const inputs = Number(values.inputs);
const seed = Number(values.seed);
const from = Number(values.from);
if (![inputs, seed, from].every(Number.isSafeInteger)) throw new Error("--inputs, --seed and --from must be integers");

/** Longest that one input may take, and most memory that the reader may have, addon and Node included. */
const patience = 60_000;
const memoryMiB = 1500;

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sconce-fuzz-"));
const marker = join(folder, "marker");

function report(finding) {
  const { target, index, message } = finding;
  const repeat = `npm run fuzz -- --target ${target} --seed ${seed} --from ${index} --inputs 1`;
  process.stdout.write(`${target}: ${message.split("\n").slice(0, 4).join("\n  ")}\n  ${repeat}\n`);
  if (values.out !== undefined) appendFileSync(values.out, `${JSON.stringify({ seed, ...finding })}\n`);
}

/** Reads inputs in one process until the end or its death; returns the number of the input to go on with. */
function round(target, start, end, totals) {
  const mark = Buffer.alloc(8);
  mark.writeDoubleLE(start);
  writeFileSync(marker, mark);
  const parameters = ["--import=tsx", "__test__/fuzz/child.ts", target, seed, start, end - start, marker].map(String);
  const child = spawn(process.execPath, ["--max-old-space-size=512", ...parameters], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const current = () => readFileSync(marker).readDoubleLE();
  let seen = -1;
  let since = Date.now();
  let killed = "";
  const watch = setInterval(() => {
    const index = current();
    if (index !== seen) [seen, since] = [index, Date.now()];
    if (Date.now() - since < patience) return;
    killed = `no answer within ${patience / 1000} s`;
    child.kill("SIGKILL");
  }, 1000);
  let rest = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const { size, accepted, findings, peakMiB } = JSON.parse(line);
      totals.inputs += size;
      totals.accepted += accepted;
      totals.peakMiB = Math.max(totals.peakMiB, peakMiB);
      totals.findings += findings.length;
      for (const finding of findings) report({ target, ...finding });
      if (peakMiB <= memoryMiB) continue;
      killed = `${Math.round(peakMiB)} MiB of memory`;
      child.kill("SIGKILL");
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-2000);
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearInterval(watch);
      if (code === 0 && killed === "") return resolve(end);
      const index = current();
      totals.findings += 1;
      report({ target, index, message: killed || `the process ended with ${code ?? signal}: ${errors}`, input: "" });
      resolve(index + 1);
    });
  });
}

let failed = false;
for (const target of values.target === undefined ? names : [values.target]) {
  const totals = { inputs: 0, accepted: 0, findings: 0, peakMiB: 0 };
  const started = performance.now();
  const end = from + inputs;
  for (let start = from, deaths = 0; start < end && deaths < 20; deaths++)
    start = await round(target, start, end, totals);
  const seconds = (performance.now() - started) / 1000;
  failed ||= totals.findings > 0;
  process.stdout.write(
    `${target}: ${totals.inputs} inputs with seed ${seed} from ${from}, ${totals.accepted} accepted, ${totals.findings} findings, ` +
      `${Math.round(totals.inputs / seconds)} a second, at most ${Math.round(totals.peakMiB)} MiB\n`,
  );
}
rmSync(folder, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;
