import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { BenchOptions } from "./arguments.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
import { type Description, measured } from "./worker.ts";

const runs = 15;

/** Time of import and of the first trained step of a small model, each in a new process. */
export async function start({ percent }: BenchOptions): Promise<Report> {
  const { command, parameters } = measured("start.mjs");
  const results: (Description & { importMs: number; firstStepMs: number })[] = [];
  for (let run = 0; run < Math.max(2, Math.round((runs * percent) / 100)) + 1; run++) {
    const { stdout } = await promisify(execFile)(command, parameters);
    results.push(JSON.parse(stdout));
  }
  const { machine, versions } = results.shift()!; // the first run reads the files from the disk
  const cases = (["importMs", "firstStepMs"] as const).map((field) => {
    const values = results.map((result) => result[field]);
    const measuredTimes = { minMs: rounded(Math.min(...values)), medianMs: rounded(median(values)) };
    const name = field === "importMs" ? "import" : "first step";
    console.log(`${name}: min ${measuredTimes.minMs} ms, median ${measuredTimes.medianMs} ms`);
    return { case: name, ours: measuredTimes };
  });
  return { bench: "start", machine, versions, cases };
}
