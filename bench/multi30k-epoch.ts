import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import { runCase } from "./lstm-step.ts";
import { multi30kCase, multi30kFiles, multi30kModelNames, type PreparedText, prepareMulti30k } from "./multi30k.ts";
import type { Report } from "./report.ts";
import { transformerSides } from "./transformer-step.ts";

/** Batches of a round. */
const batches = 40;

/** Updates on real batches of Multi30k, ours and PyTorch's in turn: the same 40 batches of a seeded epoch in each round. */
export async function multi30kEpoch(options: BenchOptions): Promise<Report> {
  if (options.case !== undefined && !multi30kModelNames.includes(options.case)) {
    throw new UsageError(`--case: known are ${multi30kModelNames.join(", ")}`);
  }
  const { training } = multi30kFiles("multi30k-epoch", options);
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "multi30k-epoch", machine: {}, versions: {}, cases: [] };
  try {
    const count = Math.max(2, Math.round((batches * Math.min(options.percent, 100)) / 100));
    const idsFile = join(folder, "multi30k.ids");
    const text = await prepareMulti30k({ training }, count, idsFile);
    for (const name of options.case === undefined ? multi30kModelNames : [options.case]) {
      const described = multi30kCase(name, text, idsFile, folder);
      const tokens = text.tokens.reduce((sum, some) => sum + some, 0);
      const { encoderLayers, decoderLayers, dimension, feedForward } = described;
      const sizes = `${encoderLayers}+${decoderLayers} layers x ${dimension}, ff ${feedForward}`;
      console.log(`\n${name}: ${sizes}, ${count} batches with ${tokens} target tokens, ${options.threads} threads`);
      const plan = { rounds: 3, stepsOfRound: count, warmUpSteps: Math.min(8, count), wholeRounds: true };
      const result = await runCase(name, described, transformerSides(options), options, report, plan);
      report.cases.push(withTokens(result, tokens / count, paddingOf(text, tokens)));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}

/** The share of target positions that hold no token. */
function paddingOf({ batches }: PreparedText, tokens: number): number {
  const positions = batches.reduce((sum, [, decoder]) => sum + decoder!.shape[0]! * decoder!.shape[1]!, 0);
  return 1 - tokens / positions;
}

interface Timed {
  name: string;
  medianMs: number | null;
  tokensPerSecond?: number | null;
}

/** Target tokens a second of each side, padding left out. */
function withTokens(result: Record<string, unknown>, tokensOfBatch: number, padding: number): Record<string, unknown> {
  for (const side of [result.ours, ...(result.peers as unknown[])] as Timed[]) {
    side.tokensPerSecond = side.medianMs === null ? null : Math.round((1000 * tokensOfBatch) / side.medianMs);
    console.log(`  ${side.name.padEnd(30)} ${side.tokensPerSecond ?? "no"} target tokens a second`);
  }
  return { ...result, paddingPercent: Number((100 * padding).toFixed(1)) };
}
