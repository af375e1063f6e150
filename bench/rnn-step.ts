import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import { runCase, type Side, stepPeer } from "./lstm-step.ts";
import type { Report } from "./report.ts";
import { rnnCaseNames, writeRnnCase } from "./rnn-step-cases.ts";
import { measured } from "./worker.ts";

function sidesOf(options: BenchOptions): Side[] {
  const script = stepPeer("rnn_step.py", options);
  return [
    { name: "sconce", start: measured("rnn-step.mjs", [], { SCONCE_THREADS: String(options.threads) }) },
    { name: "torch-eager", start: script("torch-eager"), required: "torch-eager" },
    { name: "torch-compile", start: script("torch-compile"), required: "torch-compile" },
    { name: "keras-tensorflow", start: script("keras-tensorflow"), required: "keras" },
  ];
}

/** A training step of an encoder-decoder of GRUs, and of one with a bidirectional encoder; ours and the peers' in turn. */
export async function rnnStep(options: BenchOptions): Promise<Report> {
  if (options.case !== undefined && !rnnCaseNames.includes(options.case)) {
    throw new UsageError(`--case: known are ${rnnCaseNames.join(", ")}`);
  }
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "rnn-step", machine: {}, versions: {}, cases: [] };
  try {
    for (const name of options.case === undefined ? rnnCaseNames : [options.case]) {
      const described = writeRnnCase(name, folder);
      const { vocabulary, kind } = described;
      const layers = kind === "gru" ? "GRU 256" : "bidirectional LSTM 256, decoder LSTM 256";
      console.log(`\n${name}: V ${vocabulary}, embedding 50, ${layers}, batch 64, RMSprop, ${options.threads} threads`);
      report.cases.push(await runCase(name, described, sidesOf(options), options, report));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}
