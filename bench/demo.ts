import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BenchOptions } from "./arguments.ts";
import { lastObject } from "./last-object.ts";
import type { Report } from "./report.ts";
import { rounded } from "./statistics.ts";
import { describeOurs } from "./worker.ts";

interface Recorded {
  updates: unknown[];
  evaluation: { loss: number; tokens: number }[];
}

interface PeerRun {
  versions: Record<string, unknown>;
  seconds: number;
  firstLoss: number;
  validationLoss: number;
  tokens: number;
}

/** Steps of a shortened run at one percent. */
const stepsOfPercent = 35;
const inRepository = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The demo, then the same updates of the same model in PyTorch: the losses on the held-out pairs. */
export async function demo({ python, threads, percent }: BenchOptions): Promise<Report> {
  const { machine, versions } = await describeOurs(threads);
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  try {
    const recorder = pathToFileURL(inRepository("bench/measured/record.mjs")).href;
    const shortened = percent < 100 ? ["--steps", String(stepsOfPercent * percent)] : [];
    const program = [inRepository("examples/translate-en-zh.ts"), "--json", ...shortened];
    const { seconds } = await lastObject<{ seconds: number }>(
      process.execPath,
      ["--import=tsx", `--import=${recorder}`, ...program],
      { SCONCE_THREADS: String(threads), SCONCE_RECORD: folder },
      percent < 100,
    );
    const { updates, evaluation } = JSON.parse(readFileSync(join(folder, "record.json"), "utf8")) as Recorded;
    const tokens = evaluation.reduce((sum, step) => sum + step.tokens, 0);
    const validationLoss = evaluation.reduce((sum, step) => sum + step.loss * step.tokens, 0) / tokens;
    const ours = { validationLoss, seconds, updates: updates.length, tokens };
    console.log(`sconce: validation loss ${validationLoss.toFixed(4)} after ${updates.length} updates`);
    const entry: Record<string, unknown> = { case: "translate-en-zh", ours };
    const name = "torch-eager";
    if (python === undefined) {
      entry.peers = [{ name, error: "not run: give --python" }];
    } else {
      const script = [inRepository("bench/peers/demo.py"), folder, String(threads)];
      const peer = await lastObject<PeerRun>(python, script, { CUDA_VISIBLE_DEVICES: "" });
      Object.assign(versions, peer.versions);
      entry.peers = [{ name, ...peer }];
      entry.differencePercent = rounded((100 * (validationLoss - peer.validationLoss)) / peer.validationLoss, 3);
      console.log(
        `${name}: validation loss ${peer.validationLoss.toFixed(4)}; difference ${entry.differencePercent} %`,
      );
    }
    return { bench: "demo", machine, versions, cases: [entry] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
