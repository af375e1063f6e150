import type { BenchOptions } from "./arguments.ts";
import { describeGrowth, growth } from "./growth.ts";
import type { Report } from "./report.ts";
import { type Description, measured, Worker } from "./worker.ts";

interface Samples {
  samples: { residentMiB: number; step?: number; model?: number }[];
}

/** Growth of resident memory: over steps with shapes from a fixed list, and over models made and disposed of. */
export async function memory({ threads, percent }: BenchOptions): Promise<Report> {
  const scaled = (count: number) => Math.max(1, Math.round((count * percent) / 100));
  const ranges = {
    steps: { from: scaled(500), to: scaled(2000), every: scaled(25) },
    // After a hundred V8 has compiled what it will: before, its own memory still grows.
    models: { from: scaled(100), to: scaled(200), every: scaled(4) },
  };
  const report: Report = { bench: "memory", machine: {}, versions: {}, cases: [] };
  for (const [name, range] of Object.entries(ranges)) {
    const worker = new Worker(measured("memory.mjs", [], { SCONCE_THREADS: String(threads) }));
    try {
      const { machine, versions } = await worker.ask<Description>({ command: "describe" });
      Object.assign(report, { machine, versions });
      const { samples } = await worker.ask<Samples>({ command: name, ...range });
      const found = growth(samples.map((sample) => sample.residentMiB));
      console.log(`${name} ${range.from} to ${range.to}: ${describeGrowth(found)}`);
      report.cases.push({ case: name, ...range, ...found, samples });
    } finally {
      worker.close();
    }
  }
  return report;
}
