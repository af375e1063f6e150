import type { BenchOptions } from "./arguments.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
import { type Description, measured, Worker } from "./worker.ts";

/** The encoder, and two sequences of 2,048 tokens. */
const size = { batch: 2, length: 2048, dimension: 256, heads: 4, depth: 6 };

interface Step {
  milliseconds: number;
  loss: number;
  peakMiB: number;
}

interface Side {
  worker: Worker;
  idleMiB: number;
  steps: Step[];
}

/** Peak memory and time of the training steps of an encoder over long inputs, without and with `recompute`, step by step in turn. */
export async function recomputation({ threads, percent }: BenchOptions): Promise<Report> {
  const report: Report = { bench: "recomputation", machine: {}, versions: {}, cases: [] };
  const workers = [false, true].map(
    () => new Worker(measured("recomputation.mjs", [], { SCONCE_THREADS: String(threads) })),
  );
  try {
    const sides: Side[] = [];
    for (const [index, worker] of workers.entries()) {
      const { machine, versions, idleMiB } = await worker.ask<Description & { idleMiB: number }>({
        command: "describe",
      });
      Object.assign(report, { machine, versions });
      const { weightsMiB } = await worker.ask<{ weightsMiB: number }>({
        command: "open",
        ...size,
        recompute: index === 1,
      });
      if (index === 0)
        console.log(`${JSON.stringify(size)}, weights of ${weightsMiB.toFixed(1)} MiB, ${threads} threads`);
      sides.push({ worker, idleMiB, steps: [] });
    }
    // The first one warms up.
    const count = 1 + Math.max(1, Math.round((8 * percent) / 100));
    for (let step = 0; step < count; step++) {
      for (const { worker, steps } of sides) steps.push(await worker.ask<Step>({ command: "step" }));
    }
    const losses = sides.map(({ steps }) => steps.map(({ loss }) => loss));
    const equal = losses[0]!.every((loss, step) => Object.is(loss, losses[1]![step]));
    for (const [index, { idleMiB, steps }] of sides.entries()) {
      const times = steps.slice(1).map(({ milliseconds }) => milliseconds);
      const { peakMiB } = steps.at(-1)!;
      const found = {
        minMs: rounded(Math.min(...times)),
        medianMs: rounded(median(times)),
        peakMiB: rounded(peakMiB, 1),
        growthMiB: rounded(peakMiB - idleMiB, 1),
      };
      const name = index === 1 ? "recomputed" : "kept";
      const said = `min ${found.minMs} ms, median ${found.medianMs} ms, peak ${found.peakMiB} MiB (${found.growthMiB} above idle)`;
      console.log(`  ${name.padEnd(12)} ${said}`);
      report.cases.push({ case: name, ...size, ...found, losses: losses[index] });
    }
    console.log(`  the losses of all steps are ${equal ? "equal bit for bit" : "NOT equal"}`);
    return report;
  } finally {
    for (const worker of workers) worker.close();
  }
}
