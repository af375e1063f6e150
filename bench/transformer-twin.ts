import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import { multi30kCase, multi30kFiles, multi30kModelNames, type PreparedText, prepareMulti30k } from "./multi30k.ts";
import type { Report } from "./report.ts";
import { rounded } from "./statistics.ts";
import type { TransformerCase } from "./transformer-cases.ts";
import { transformerSides } from "./transformer-step.ts";
import { attempt, Worker } from "./worker.ts";

/** Updates that a side makes before the other takes its turn. */
const turn = 50;
const fullUpdates = 1500;

interface Twin {
  name: string;
  worker: Worker;
  seconds: number;
  losses: number[];
  error?: string;
}

/** The same model, weights, batches and recipe here and in PyTorch, dropout on: the loss on held-out pairs and the time of both. */
export async function transformerTwin(options: BenchOptions): Promise<Report> {
  const model = options.case ?? "tiny";
  if (!multi30kModelNames.includes(model)) {
    throw new UsageError(`--case: known are ${multi30kModelNames.join(", ")}; default tiny`);
  }
  const files = multi30kFiles("transformer-twin", options);
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "transformer-twin", machine: {}, versions: {}, cases: [] };
  try {
    const updates = options.updates ?? Math.max(2, Math.round((fullUpdates * options.percent) / 100));
    const idsFile = join(folder, "multi30k.ids");
    const text = await prepareMulti30k(files, updates, idsFile);
    const { check: _, ...described } = multi30kCase(model, text, idsFile, folder);
    console.log(`${model}: ${updates} updates, ${text.validationTokens} target tokens held out`);
    report.cases.push(await train(model, described, text, options, report));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}

async function train(
  name: string,
  described: Omit<TransformerCase, "check">,
  text: PreparedText,
  options: BenchOptions,
  report: Report,
): Promise<Record<string, unknown>> {
  const twins = transformerSides(options)
    .filter((side) => !side.name.startsWith("torch-compile"))
    .map((side): Twin => ({ name: side.name, worker: new Worker(side.start), seconds: 0, losses: [] }));
  try {
    for (const twin of twins) {
      await attempt(twin, twin.name, async () => {
        const said = await twin.worker.ask<{ machine?: object; versions: object }>({ command: "describe" });
        Object.assign(report.machine, said.machine);
        Object.assign(report.versions, said.versions);
        await twin.worker.ask({ command: "open", ...described, metrics: true });
      });
    }
    // In turns, so that a busy minute of the machine meets both.
    for (let first = 0; first < text.batches.length; first += turn) {
      const count = Math.min(turn, text.batches.length - first);
      for (const twin of twins) await attempt(twin, twin.name, () => advance(twin, first, count));
      console.log(`  ${first + count}: ${twins.map(progressOf).join("; ")}`);
    }
    const results = [];
    for (const twin of twins) results.push(await resultOf(twin, text));
    const [ours, ...peers] = results as [TwinResult, ...TwinResult[]];
    const theirs = peers[0]?.validationLoss ?? null;
    const both = ours.validationLoss !== null && theirs !== null;
    const differencePercent = both ? rounded((100 * (ours.validationLoss! - theirs)) / theirs, 3) : null;
    const ratio = both ? rounded(peers[0]!.seconds / ours.seconds) : null;
    console.log(`  difference ${differencePercent ?? "none"} %, time ratio ${ratio ?? "none"}`);
    return { case: name, updates: text.batches.length, ours, peers, differencePercent, ratio };
  } finally {
    for (const { worker } of twins) worker.close();
  }
}

async function advance(twin: Twin, first: number, count: number): Promise<void> {
  const { milliseconds, losses } = await twin.worker.ask<{ milliseconds: number[]; losses: number[] }>({
    command: "run",
    first,
    count,
  });
  twin.seconds += milliseconds.reduce((sum, time) => sum + time, 0) / 1000;
  twin.losses.push(...losses);
}

function progressOf({ name, losses, seconds, error }: Twin): string {
  if (error !== undefined) return `${name} failed`;
  const last = losses.slice(-turn);
  const mean = last.reduce((sum, loss) => sum + loss, 0) / last.length;
  return `${name} loss ${mean.toFixed(4)}, ${seconds.toFixed(1)} s`;
}

interface TwinResult {
  name: string;
  /** Mean of `-log p` of the tokens that are held out, without dropout and smoothing. */
  validationLoss: number | null;
  seconds: number;
  firstLoss: number | null;
  lastLoss: number | null;
  error?: string;
}

async function resultOf(twin: Twin, text: PreparedText): Promise<TwinResult> {
  let validationLoss: number | null = null;
  await attempt(twin, twin.name, async () => {
    const answer = await twin.worker.ask<{ loss: number; tokens: number }>({
      command: "evaluate",
      batches: text.validation,
    });
    if (answer.tokens !== text.validationTokens) {
      throw new Error(`expected ${text.validationTokens} tokens, ${answer.tokens} were counted`);
    }
    validationLoss = answer.loss;
    console.log(`  ${twin.name}: validation loss ${answer.loss.toFixed(4)}, ${twin.seconds.toFixed(1)} s of updates`);
  });
  return {
    name: twin.name,
    validationLoss,
    seconds: rounded(twin.seconds),
    firstLoss: twin.losses[0] ?? null,
    lastLoss: twin.losses.at(-1) ?? null,
    ...(twin.error === undefined ? {} : { error: twin.error }),
  };
}
