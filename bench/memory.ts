import type { BenchOptions } from "./arguments.ts";
import type { Report } from "./report.ts";
import { rounded } from "./statistics.ts";
import { type Description, measured, Worker } from "./worker.ts";

interface Samples {
  samples: { residentMiB: number; step?: number; model?: number }[];
}

/** Growth of resident memory: over steps with shapes from a fixed list, and over models made and disposed of. */
export async function memory({ threads, percent }: BenchOptions): Promise<Report> {
  const scaled = (count: number) => Math.max(1, Math.round((count * percent) / 100));
  const ranges = {
    steps: { from: scaled(500), to: scaled(2000), every: scaled(100) },
    models: { from: scaled(20), to: scaled(120), every: scaled(10) },
  };
  const report: Report = { bench: "memory", machine: {}, versions: {}, cases: [] };
  for (const [name, range] of Object.entries(ranges)) {
    const worker = new Worker(measured("memory.mjs", [], { SCONCE_THREADS: String(threads) }));
    try {
      const { machine, versions } = await worker.ask<Description>({ command: "describe" });
      Object.assign(report, { machine, versions });
      const { samples } = await worker.ask<Samples>({ command: name, ...range });
      const [first, last] = [samples[0]!.residentMiB, samples.at(-1)!.residentMiB];
      const most = Math.max(...samples.map((sample) => sample.residentMiB));
      const growth = rounded((100 * (most - first)) / first);
      console.log(
        `${name}: ${first.toFixed(1)} MiB after ${range.from}, ${last.toFixed(1)} MiB after ${range.to}, ` +
          `most ${most.toFixed(1)} MiB: growth ${growth} %`,
      );
      report.cases.push({
        case: name,
        ...range,
        firstMiB: first,
        lastMiB: last,
        mostMiB: most,
        growthPercent: growth,
        samples,
      });
    } finally {
      worker.close();
    }
  }
  return report;
}
