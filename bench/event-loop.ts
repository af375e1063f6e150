import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions } from "./arguments.ts";
import { writeCase } from "./lstm-step-cases.ts";
import type { Report } from "./report.ts";
import { rounded } from "./statistics.ts";
import { type Description, measured, Worker } from "./worker.ts";

interface Delays {
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
  samples: number;
}

const busySeconds = 60;
const idleSeconds = 15;

/** Delay of the event loop during training, above that of the idle process. */
export async function eventLoop({ threads, percent }: BenchOptions): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const worker = new Worker(measured("event-loop.mjs", [], { SCONCE_THREADS: String(threads) }));
  try {
    const { machine, versions } = await worker.ask<Description>({ command: "describe" });
    await worker.ask({ command: "open", ...writeCase("V8000", folder) });
    const seconds = (full: number) => Math.max(1, (full * percent) / 100);
    const before = await worker.ask<Delays>({ command: "idle", seconds: seconds(idleSeconds) });
    const busy = await worker.ask<Delays & { steps: number }>({ command: "busy", seconds: seconds(busySeconds) });
    const aboveIdleMs = rounded(busy.p99Ms - before.p99Ms, 3);
    for (const [name, delays] of [
      ["idle", before],
      ["training", busy],
    ] as const) {
      const { p50Ms, p99Ms, p999Ms, maxMs } = delays;
      const shown = [p50Ms, p99Ms, p999Ms, maxMs].map((value) => value.toFixed(2));
      console.log(`${name}: delay p50 ${shown[0]} ms, p99 ${shown[1]} ms, p99.9 ${shown[2]} ms, most ${shown[3]} ms`);
    }
    console.log(`${busy.steps} steps on ${threads} threads; p99 above idle: ${aboveIdleMs} ms`);
    return {
      bench: "event-loop",
      machine,
      versions,
      cases: [{ case: "V8000", threads, idle: before, training: busy, p99AboveIdleMs: aboveIdleMs }],
    };
  } finally {
    worker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
