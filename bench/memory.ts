import type { BenchOptions } from "./arguments.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
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
      const sizes = samples.map((sample) => sample.residentMiB);
      // Single samples rise and fall by two pages of the allocators, 2 MiB each: what stays is told by medians.
      const quarter = Math.ceil(sizes.length / 4);
      const [first, last] = [median(sizes.slice(0, quarter)), median(sizes.slice(-quarter))];
      const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
      const growth = rounded((100 * (last - first)) / first);
      console.log(
        `${name} ${range.from} to ${range.to}: ${first.toFixed(1)} MiB in the first quarter, ${last.toFixed(1)} MiB in ` +
          `the last (medians): growth ${growth} %; least ${least.toFixed(1)} MiB, most ${most.toFixed(1)} MiB`,
      );
      report.cases.push({
        case: name,
        ...range,
        firstMiB: first,
        lastMiB: last,
        leastMiB: least,
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
