import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { philox } from "../../src/data/random.ts";

const script = fileURLToPath(new URL("../helpers/resumable-run.ts", import.meta.url));

interface Outcome {
  weights: string;
  history: unknown;
  steps: number;
}

/** Runs the script; `undefined` if it was killed. */
async function run(folder: string, kind: string, ...kill: string[]): Promise<Outcome | undefined> {
  const result = join(folder, "result.json");
  const child = spawn(process.execPath, ["--import=tsx", script, join(folder, "backup"), result, kind, ...kill], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (...end) => resolve(end));
  });
  if (signal === "SIGKILL") return undefined;
  if (code !== 0) throw new Error(`the run ended with ${code ?? signal}`);
  return JSON.parse(await readFile(result, "utf8"));
}

for (const kind of ["arrays", "dataset"]) {
  test(`a run on ${kind} that is killed five times, once while it saves, ends with the same bits`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sconce-kill-"));
    const expected = (await run(folder, kind))!;
    // Steps that each run lives, by a seed: about as many as it saves in plus a few.
    const lives = philox([0, 0, 0, kind.length], [2026, 0]).map((word) => 4 + (word % 5));
    for (const [index, life] of lives.entries()) {
      t.is(await run(folder, kind, "step", `${life}`), undefined);
      if (index === 1) {
        t.is(await run(folder, kind, "write", "1"), undefined);
        t.true(
          (await readdir(folder)).some((name) => name.includes("sconce-new")),
          "it was not killed while it saved",
        );
      }
    }
    const { steps, ...outcome } = (await run(folder, kind))!;
    t.deepEqual(outcome, { weights: expected.weights, history: expected.history });
    t.true(steps < expected.steps, "it began anew");
    t.deepEqual(await readdir(folder), ["result.json"]);
    await rm(folder, { recursive: true });
  });
}
