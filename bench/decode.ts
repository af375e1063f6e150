import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BenchOptions, UsageError } from "./arguments.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
import { attempt, measured, peer, Worker, type WorkerCommand } from "./worker.ts";

/** The architecture of OPUS-MT's models; weights and texts are random. */
const sizes = {
  vocabulary: 32_000,
  dimension: 512,
  feedForward: 2048,
  heads: 8,
  layers: 6,
  maxLength: 512,
};

/** Tokens of each source and of each translation. */
const length = 30;

interface DecodeCase {
  name: string;
  precision: "float32" | "int8";
  batch: number;
  beams: number;
}

const cases: DecodeCase[] = (["float32", "int8"] as const).flatMap((precision) =>
  [1, 16].flatMap((batch) =>
    [1, 4].map((beams) => ({ name: `${precision}-b${batch}-beams${beams}`, precision, batch, beams })),
  ),
);

/** The names of the cases. */
export const decodeCaseNames = cases.map(({ name }) => name);

const rounds = 5;

interface Answer {
  milliseconds: number[];
  ids: number[][];
}

/** A process that translates. */
interface Side {
  name: string;
  worker: Worker;
  peakMiB: number | null;
  idleMiB: number;
  /** Tokens a second of each batch, by case. */
  rates: Map<string, number[]>;
  /** Of the first batch, by case. */
  ids: Map<string, number[][]>;
  error?: string;
}

const scriptOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Translations of exactly 30 tokens by a random model, ours, CTranslate2's and Hugging Face's in turn. */
export async function decode({ python, threads, percent, case: only }: BenchOptions): Promise<Report> {
  if (only !== undefined && !decodeCaseNames.includes(only)) {
    throw new UsageError(`--case: known are ${decodeCaseNames.join(", ")}`);
  }
  if (python === undefined) throw new UsageError("decode: --python is needed: the model is made there");
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "decode", machine: {}, versions: {}, cases: [] };
  try {
    execFileSync(python, [scriptOf("peers/decode_model.py"), folder, JSON.stringify(sizes)], { stdio: "pipe" });
    execFileSync(process.execPath, [scriptOf("measured/decode-model.mjs"), folder, JSON.stringify(sizes)]);
    for (const precision of ["float32", "int8"] as const) {
      const own = cases.filter((one) => one.precision === precision && (only === undefined || one.name === only));
      if (own.length > 0) await runPrecision(precision, own, { folder, python, threads, percent }, report);
    }
    return report;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Place {
  folder: string;
  python: string;
  threads: number;
  percent: number;
}

/** All cases of a precision with the same processes, so that memory is that of them all. */
async function runPrecision(
  precision: DecodeCase["precision"],
  own: DecodeCase[],
  { folder, python, threads, percent }: Place,
  report: Report,
): Promise<void> {
  const environment = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads), CUDA_VISIBLE_DEVICES: "" };
  const script = (configuration: string) => peer(python, ["decode.py", configuration, String(threads)], environment);
  const starts: [string, WorkerCommand][] = [
    ["sconce", measured("decode.mjs", [precision], { SCONCE_THREADS: String(threads) })],
    [`ctranslate2-${precision}`, script(`ctranslate2-${precision}`)],
  ];
  if (precision === "float32") starts.push(["hugging-face", script("hugging-face")]);
  const sides = starts.map(
    ([name, start]): Side => ({
      name,
      worker: new Worker(start),
      peakMiB: null,
      idleMiB: 0,
      rates: new Map(),
      ids: new Map(),
    }),
  );
  try {
    for (const side of sides) {
      await attempt(side, side.name, async () => {
        const described = await side.worker.ask<{ machine?: object; versions: object; idleMiB: number }>({
          command: "describe",
        });
        Object.assign(report.machine, described.machine);
        Object.assign(report.versions, described.versions);
        side.idleMiB = described.idleMiB;
        await side.worker.ask({ command: "open", folder });
      });
    }
    for (const one of own) {
      console.log(`\n${one.name}: ${sizes.layers}+${sizes.layers} layers x ${sizes.dimension}, ${threads} threads`);
      await runCase(one, sides, percent);
    }
    for (const side of sides) {
      await attempt(side, side.name, async () => {
        side.peakMiB = (await side.worker.ask<{ peakMiB: number }>({ command: "memory" })).peakMiB;
      });
    }
    report.cases.push(...own.map((one) => caseReport(one, sides)));
  } finally {
    for (const { worker } of sides) worker.close();
  }
}

async function runCase(one: DecodeCase, sides: Side[], percent: number): Promise<void> {
  const { name, batch, beams } = one;
  const count = batch === 1 ? 6 : 1;
  const batches = Array.from({ length: count }, (_, number) => sourcesOf(number, batch));
  const total = percent < 100 ? 1 : rounds;
  // The first round warms up. Another side begins each round.
  for (let round = 0; round <= total; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const side = sides[(round + turn) % sides.length]!;
      await attempt(side, side.name, async () => {
        const { milliseconds, ids } = await side.worker.ask<Answer>({ command: "run", batches, beams, length });
        if (ids.some((row) => row.length !== length)) throw new Error(`expected ${length} tokens in each translation`);
        side.ids.set(name, ids);
        if (round === 0) return;
        const rates = milliseconds.map((time) => (1000 * batch * length) / time);
        side.rates.set(name, [...(side.rates.get(name) ?? []), ...rates]);
      });
    }
  }
  for (const side of sides) {
    const rates = side.rates.get(name);
    const best = rates && rounded(Math.max(...rates), 1);
    const said = rates === undefined ? side.error : `median ${rounded(median(rates), 1)} tokens a second, best ${best}`;
    console.log(`  ${side.name.padEnd(22)} ${said}`);
  }
}

/** Sources as numbers of words, the same at each call. */
function sourcesOf(number: number, batch: number): number[][] {
  let state = 12_345 + number;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return 4 + ((state >>> 8) % (sizes.vocabulary - 4));
  };
  return Array.from({ length: batch }, () => Array.from({ length: length - 1 }, next));
}

/** The share of translations whose first three tokens are those of ours. */
function agreement(ours: number[][], theirs: number[][]): number {
  const same = ours.filter((row, index) => row.slice(0, 3).every((id, place) => id === theirs[index]?.[place]));
  return rounded(same.length / ours.length, 3);
}

function caseReport({ name, precision, batch, beams }: DecodeCase, sides: Side[]): Record<string, unknown> {
  const [ours] = sides as [Side];
  const described = sides.map((side) => {
    const rates = side.rates.get(name);
    const ids = side.ids.get(name);
    return {
      name: side.name,
      medianTokensPerSecond: rates ? rounded(median(rates), 1) : null,
      bestTokensPerSecond: rates ? rounded(Math.max(...rates), 1) : null,
      agreesWithOurs: ids && ours.ids.has(name) ? agreement(ours.ids.get(name)!, ids) : null,
      peakMiB: side.peakMiB === null ? null : rounded(side.peakMiB, 1),
      growthMiB: side.peakMiB === null ? null : rounded(side.peakMiB - side.idleMiB, 1),
      ...(side.error === undefined ? {} : { error: side.error }),
    };
  });
  const [own, theirs] = described;
  // Where numbers of 8 bits are made differs, so that close scores may change places.
  const least = precision === "int8" ? 0.5 : 0.99;
  const valid = own?.medianTokensPerSecond && theirs?.medianTokensPerSecond && theirs.agreesWithOurs! >= least;
  const ratio = valid ? rounded(own.medianTokensPerSecond! / theirs.medianTokensPerSecond!) : null;
  const memory = own?.peakMiB && theirs?.peakMiB ? rounded(own.peakMiB / theirs.peakMiB) : null;
  const shares = described.slice(1).map((side) => `${side.agreesWithOurs} of ${side.name}`);
  const peaks = described.map((side) => `${side.peakMiB} MiB`).join(", ");
  console.log(`${name}: ratio ${ratio ?? "none"}, same first tokens ${shares.join(", ")}; memory ${peaks}`);
  return { case: name, precision, batch, beams, sides: described, ratio, memoryRatio: memory };
}
