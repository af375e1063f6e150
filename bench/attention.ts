import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import { attentionCaseNames, writeAttentionCase } from "./attention-cases.ts";
import { type Plan, runCase, type Side, stepPeer } from "./lstm-step.ts";
import type { Report } from "./report.ts";
import { measured } from "./worker.ts";

/** A training step of one attention layer over ever longer sequences, as many tokens in all; ours and PyTorch's in turn. */
export async function attention(options: BenchOptions): Promise<Report> {
  if (options.case !== undefined && !attentionCaseNames.includes(options.case)) {
    throw new UsageError(`--case: known are ${attentionCaseNames.join(", ")}`);
  }
  const script = stepPeer("attention.py", options);
  const sides: Side[] = [
    { name: "sconce", start: measured("attention.mjs", [], { SCONCE_THREADS: String(options.threads) }) },
    { name: "torch-eager", start: script("torch-eager"), required: "torch-eager" },
    { name: "torch-compile", start: script("torch-compile"), required: "torch-compile" },
  ];
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "attention", machine: {}, versions: {}, cases: [] };
  try {
    for (const name of options.case === undefined ? attentionCaseNames : [options.case]) {
      const described = writeAttentionCase(name, folder);
      const { heads, length, causal, batches } = described;
      const [sequences] = batches[0]![0]!.shape;
      const what = `${sequences} x ${length} queries and keys, ${heads} heads x 64${causal ? ", causal" : ""}`;
      console.log(`\n${name}: ${what}, SGD, ${options.threads} threads`);
      // A step takes tenths of a second at first and seconds in the end.
      const plan: Plan = { rounds: 4, stepsOfRound: length > 2048 ? 2 : 4, warmUpSteps: 1 };
      report.cases.push(await runCase(name, described, sides, options, report, plan));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}
