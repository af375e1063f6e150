import type { BenchOptions } from "./arguments.ts";
import { describeGrowth, growth } from "./growth.ts";
import type { Report } from "./report.ts";
import { type Description, measured, Worker } from "./worker.ts";

interface Samples {
  samples: { residentMiB: number; done: number }[];
  seconds: number;
}

/**
 * Long runs, each in a process of its own: training steps, generate calls of which many wait at once, training beside
 * generation on another model, and worker threads that come and go. Each tells the growth of resident memory after it has run
 * in; a run in which nothing is done for a minute fails as a deadlock.
 */
export async function longRun({ threads, percent }: BenchOptions): Promise<Report> {
  const scaled = (count: number) => Math.max(8, Math.round((count * percent) / 100));
  const runs = {
    steps: { count: scaled(10_000), warm: scaled(1000) },
    generate: { count: scaled(10_000), warm: scaled(1000), atOnce: 64 },
    both: { count: scaled(5000), warm: scaled(500), atOnce: 8 },
    workers: { count: scaled(300), warm: scaled(60), atOnce: 3 },
  };
  const report: Report = { bench: "long-run", machine: {}, versions: {}, cases: [] };
  for (const [name, run] of Object.entries(runs)) {
    const worker = new Worker(measured("long-run.mjs", [], { SCONCE_THREADS: String(threads) }));
    try {
      const { machine, versions } = await worker.ask<Description>({ command: "describe" });
      Object.assign(report, { machine, versions });
      const { samples, seconds } = await worker.ask<Samples>({ command: name, ...run });
      const found = growth(samples.map((sample) => sample.residentMiB));
      console.log(`${name}: ${run.count} in ${seconds.toFixed(0)} s; after ${run.warm}: ${describeGrowth(found)}`);
      report.cases.push({ case: name, ...run, seconds, ...found, samples });
    } finally {
      worker.close();
    }
  }
  return report;
}
