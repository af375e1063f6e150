import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BenchOptions, UsageError } from "./arguments.ts";
import { caseNames, writeCase } from "./lstm-step-cases.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
import { attempt, measured, peer, Worker, type WorkerCommand } from "./worker.ts";

/** One side of a case. */
export interface Side {
  name: string;
  start: WorkerCommand;
  /** Must have run for a ratio; at least one of the sides with the same word here. */
  required?: string;
  /** Takes no part in the ratio: an unusual configuration, told for information. */
  information?: boolean;
  /** For cases with masks only, or for those without. */
  masked?: boolean;
}

/** What a side gave. */
interface SideResult {
  name: string;
  minMs: number | null;
  medianMs: number | null;
  peakMiB: number | null;
  growthMiB: number | null;
  firstLoss: number | null;
  lastLoss: number | null;
  information?: true;
  error?: string;
}

/** What each side runs, in turn with the others. */
export interface Plan {
  rounds: number;
  stepsOfRound: number;
  warmUpSteps: number;
  /** Each round trains on the same batches, from the first, and counts as a whole: its mean. Else each step counts. */
  wholeRounds?: boolean;
}

/** A case as the sides open it. */
export interface RunnableCase {
  /** Where its weights are; what else it has is between the sides. */
  weightsFile: string;
  /** What is changed for the first losses, which are compared; default nothing. */
  check?: object;
  /** How far the first losses may differ; default 1e-4. */
  tolerance?: number;
}

const usualPlan: Plan = { rounds: 8, stepsOfRound: 6, warmUpSteps: 6 };

/** How a configuration of a peers' script is started. */
export function stepPeer(script: string, { python, threads }: BenchOptions) {
  return (configuration: string, environment: Record<string, string> = {}) =>
    peer(python ?? "", [script, configuration, String(threads)], {
      OMP_NUM_THREADS: String(threads),
      MKL_NUM_THREADS: String(threads),
      CUDA_VISIBLE_DEVICES: "",
      TF_CPP_MIN_LOG_LEVEL: "3",
      ...environment,
    });
}

function sidesOf(options: BenchOptions): Side[] {
  const { threads } = options;
  const script = stepPeer("lstm_step.py", options);
  const keepsMemory = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184";
  return [
    { name: "sconce", start: measured("lstm-step.mjs", [], { SCONCE_THREADS: String(threads) }) },
    { name: "torch-eager", start: script("torch-eager"), required: "torch-eager" },
    { name: "torch-compile", start: script("torch-compile"), required: "torch-compile" },
    // Written by hand to leave out padding before the output layer, where the ordinary way is ignore_index.
    { name: "torch-eager-selected", start: script("torch-eager-selected"), masked: true, information: true },
    { name: "torch-compile-selected", start: script("torch-compile-selected"), masked: true, information: true },
    { name: "keras-tensorflow", start: script("keras-tensorflow"), required: "keras" },
    // XLA compiles anew for each length: seconds a step where lengths differ.
    { name: "keras-tensorflow-jit", start: script("keras-tensorflow-jit"), required: "keras", masked: false },
    {
      name: "torch-eager-without-trimming",
      start: script("torch-eager", { GLIBC_TUNABLES: keepsMemory }),
      information: true,
    },
  ];
}

/** A training step of the textbook model, ours and the peers' in turn. */
export async function lstmStep(options: BenchOptions): Promise<Report> {
  if (options.case !== undefined && !caseNames.includes(options.case)) {
    throw new UsageError(`--case: known are ${caseNames.join(", ")}`);
  }
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "lstm-step", machine: {}, versions: {}, cases: [] };
  try {
    for (const name of options.case === undefined ? caseNames : [options.case]) {
      const described = writeCase(name, folder);
      const sides = sidesOf(options).filter((side) => (side.masked ?? described.masked) === described.masked);
      console.log(
        `\n${name}: V ${described.vocabulary}, embedding 50, LSTM 256, batch 64, RMSprop, ${options.threads} threads`,
      );
      report.cases.push(await runCase(name, described, sides, options, report));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}

interface Running {
  side: Side;
  worker: Worker;
  idleMiB: number;
  milliseconds: number[];
  losses: number[];
  /** The loss that is compared, if it is not the first of `losses`. */
  checkedLoss?: number;
  error?: string;
}

/** Trains a case on all sides in turn; the first one is ours. */
export async function runCase(
  name: string,
  described: RunnableCase,
  sides: Side[],
  options: BenchOptions,
  report: Report,
  plan: Plan = usualPlan,
): Promise<Record<string, unknown>> {
  const { warmUpSteps, stepsOfRound } = plan;
  const running: Running[] = [];
  try {
    for (const side of sides) {
      const state: Running = { side, worker: new Worker(side.start), idleMiB: 0, milliseconds: [], losses: [] };
      running.push(state);
      await attempt(state, state.side.name, () => open(state, described, report, warmUpSteps));
    }
    const count = Math.max(1, Math.round((plan.rounds * options.percent) / 100));
    for (let round = 0; round < count; round++) {
      // Another side begins each round, so that none is always the one after a pause.
      for (let turn = 0; turn < running.length; turn++) {
        const state = running[(round + turn) % running.length]!;
        const first = plan.wholeRounds ? 0 : warmUpSteps + round * stepsOfRound;
        await attempt(state, state.side.name, () => runRound(state, first, plan));
        await sleep(300);
      }
    }
    const results: SideResult[] = [];
    for (const state of running) results.push(await resultOf(state));
    return caseReport(name, results, sides, described.tolerance ?? 1e-4);
  } finally {
    for (const { worker } of running) worker.close();
  }
}

interface RunAnswer {
  milliseconds: number[];
  losses: number[];
}

async function open(state: Running, described: RunnableCase, report: Report, warmUpSteps: number): Promise<void> {
  interface Description {
    machine?: object;
    versions: object;
    idleMiB: number;
  }
  const { machine, versions, idleMiB } = await state.worker.ask<Description>({ command: "describe" });
  Object.assign(report.machine, machine);
  Object.assign(report.versions, versions);
  state.idleMiB = idleMiB;
  if (described.check !== undefined) state.checkedLoss = await checkedLoss(state.side, described);
  await state.worker.ask({ command: "open", ...described });
  const { losses } = await state.worker.ask<RunAnswer>({ command: "run", first: 0, count: warmUpSteps });
  state.losses.push(...losses);
  console.log(`  ${state.side.name}: first loss ${(state.checkedLoss ?? losses[0]!).toFixed(6)}`);
}

/** The first loss of the case as it is checked, from a process of its own: it is no part of the peak of the measured one. */
async function checkedLoss({ start }: Side, described: RunnableCase): Promise<number> {
  const worker = new Worker(start);
  try {
    await worker.ask({ command: "open", ...described, ...described.check });
    const { losses } = await worker.ask<RunAnswer>({ command: "run", first: 0, count: 1 });
    return losses[0]!;
  } finally {
    worker.close();
  }
}

async function runRound(state: Running, first: number, { stepsOfRound, wholeRounds }: Plan): Promise<void> {
  const { milliseconds, losses } = await state.worker.ask<RunAnswer>({ command: "run", first, count: stepsOfRound });
  const mean = milliseconds.reduce((sum, time) => sum + time, 0) / milliseconds.length;
  // The first step after a pause finds cold caches on either side.
  state.milliseconds.push(...(wholeRounds ? [mean] : milliseconds.slice(1)));
  state.losses.push(...losses);
}

async function resultOf(state: Running): Promise<SideResult> {
  let peak: number | null = null;
  await attempt(state, state.side.name, async () => {
    peak = (await state.worker.ask<{ peakMiB: number }>({ command: "memory" })).peakMiB;
  });
  const { milliseconds, losses, error } = state;
  const done = error === undefined;
  return {
    name: state.side.name,
    minMs: done ? rounded(Math.min(...milliseconds)) : null,
    medianMs: done ? rounded(median(milliseconds)) : null,
    peakMiB: peak === null ? null : rounded(peak, 1),
    growthMiB: peak === null ? null : rounded(peak - state.idleMiB, 1),
    firstLoss: state.checkedLoss ?? losses[0] ?? null,
    lastLoss: losses.at(-1) ?? null,
    ...(state.side.information ? { information: true as const } : {}),
    ...(error === undefined ? {} : { error }),
  };
}

function fastestOf(results: SideResult[]): SideResult | undefined {
  return results.reduce<SideResult | undefined>(
    (best, result) => (best === undefined || result.medianMs! < best.medianMs! ? result : best),
    undefined,
  );
}

function caseReport(name: string, results: SideResult[], sides: Side[], tolerance: number): Record<string, unknown> {
  const [ours, ...peers] = results as [SideResult, ...SideResult[]];
  const counted = peers.filter((result) => result.medianMs !== null && !result.information);
  const ran = new Set(counted.map((result) => sides.find((side) => side.name === result.name)?.required));
  const missing = sides.some((side) => side.required !== undefined && !ran.has(side.required));
  const fastest = fastestOf(counted);
  const { firstLoss } = ours;
  const agree = firstLoss === null ? null : counted.every((peer) => Math.abs(peer.firstLoss! - firstLoss) <= tolerance);
  const valid = !missing && agree === true && ours.medianMs !== null && fastest !== undefined;
  const ratio = valid ? rounded(fastest.medianMs! / ours.medianMs!) : null;
  const unusual = fastestOf(peers.filter((result) => result.medianMs !== null && result.information));
  const unusualRatio = valid && unusual !== undefined ? rounded(unusual.medianMs! / ours.medianMs!) : null;
  for (const result of results) {
    const { minMs, medianMs, peakMiB, growthMiB, error } = result;
    const said = error ?? `min ${minMs} ms, median ${medianMs} ms, peak ${peakMiB} MiB (${growthMiB} above idle)`;
    console.log(`  ${result.name.padEnd(30)} ${said}${result.information ? " (for information)" : ""}`);
  }
  if (agree === false) console.log(`  the first losses differ by more than ${tolerance}: no ratio`);
  console.log(`  ratio ${ratio ?? "none"}${valid ? ` to ${fastest.name}` : ""}`);
  if (unusualRatio !== null) console.log(`  for information: ${unusualRatio} to ${unusual!.name}`);
  return { case: name, ours, peers, firstLossesAgree: agree, ratio, informationRatio: unusualRatio };
}
