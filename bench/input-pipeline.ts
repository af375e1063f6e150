import { createWriteStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BenchOptions } from "./arguments.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
import { type Description, measured, Worker } from "./worker.ts";

const fullLines = 10_000_000;
const words = 9_000;
const batchSize = 64;

interface Stream {
  lines: number;
  tokens: number;
  batches: number;
  positions: number;
  seconds: number;
  residentMiB: number[];
  peakMiB: number;
}

interface Steps {
  stepMs: number[];
  fitMs: number[];
}

interface Kept {
  lines: number;
  ids: number;
  seconds: number;
  peakMiB: number;
  emptyMiB: number;
}

/**
 * Lines from a file to batches: read, tokenised, bucketed, padded; compared with the training step of the textbook model in the
 * same process. Then all ids in memory.
 */
export async function inputPipeline({ threads, percent, lines }: BenchOptions): Promise<Report> {
  const count = lines ?? Math.max(10_000, Math.round((fullLines * percent) / 100));
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  try {
    const path = join(folder, "lines.tsv");
    await pipeline(Readable.from(synthetic(count)), createWriteStream(path));
    const mebibytes = rounded(statSync(path).size / 2 ** 20, 1);
    console.log(`${count} lines of synthetic sentence pairs: ${mebibytes} MiB`);
    const request = { path, batchSize, vocabulary: 8000 };
    const report: Report = { bench: "input-pipeline", machine: {}, versions: {}, cases: [] };
    const ask = async <Answer>(call: (worker: Worker) => Promise<Answer>): Promise<Answer> => {
      const worker = new Worker(measured("input-pipeline.mjs", [], { SCONCE_THREADS: String(threads) }));
      try {
        const { machine, versions } = await worker.ask<Description>({ command: "describe" });
        Object.assign(report, { machine, versions });
        await worker.ask({ command: "open", ...request });
        return await call(worker);
      } finally {
        worker.close();
      }
    };
    const scaled = (full: number) => Math.max(4, Math.round((full * percent) / 100));
    // A process of its own: the model is no part of the pipeline's memory.
    const { stepMs, fitMs } = await ask((worker) =>
      worker.ask<Steps>({ command: "steps", warmUp: scaled(10), count: scaled(60) }),
    );
    const stream = await ask((worker) => worker.ask<Stream>({ command: "stream" }));
    const kept = await ask((worker) => worker.ask<Kept>({ command: "keep" }));
    report.cases.push(streamCase(stream, median(stepMs), median(fitMs), threads), keptCase(kept));
    return report;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function streamCase(stream: Stream, stepMs: number, fitMs: number, threads: number): Record<string, unknown> {
  const { lines, tokens, batches, positions, seconds, residentMiB, peakMiB } = stream;
  const batchMs = (1000 * seconds) / batches;
  const quarter = Math.ceil(residentMiB.length / 4);
  const [first, last] = [median(residentMiB.slice(0, quarter)), median(residentMiB.slice(-quarter))];
  const padding = rounded(100 * (1 - tokens / positions), 1);
  console.log(
    `stream: ${lines} lines in ${seconds.toFixed(1)} s: ${Math.round(lines / seconds)} lines/s, ` +
      `${Math.round(tokens / seconds)} tokens/s, ${padding} % padding; peak ${peakMiB.toFixed(0)} MiB resident, ` +
      `${first.toFixed(0)} in the first quarter, ${last.toFixed(0)} in the last (medians)`,
  );
  console.log(
    `a batch of ${batchSize}: ${batchMs.toFixed(2)} ms in the pipeline; a training step: ${stepMs.toFixed(2)} ms on ${threads} threads, ` +
      `${fitMs.toFixed(2)} ms in fit with the pipeline beside it: the step takes ${(stepMs / batchMs).toFixed(1)} times as long`,
  );
  return {
    case: "stream",
    threads,
    lines,
    tokens,
    batches,
    seconds: rounded(seconds, 2),
    linesPerSecond: Math.round(lines / seconds),
    tokensPerSecond: Math.round(tokens / seconds),
    paddingPercent: padding,
    batchMs: rounded(batchMs, 3),
    stepMs: rounded(stepMs, 2),
    fitMs: rounded(fitMs, 2),
    stepToPipeline: rounded(stepMs / batchMs, 2),
    peakMiB,
    firstMiB: first,
    lastMiB: last,
  };
}

function keptCase({ lines, ids, seconds, peakMiB, emptyMiB }: Kept): Record<string, unknown> {
  const idsMiB = rounded((4 * ids) / 2 ** 20, 1);
  console.log(
    `ids in memory: ${lines} lines, ${ids} ids of 4 bytes: ${idsMiB.toFixed(0)} MiB, read in ${seconds.toFixed(1)} s; ` +
      `peak ${peakMiB.toFixed(0)} MiB resident with all of them bucketed, ${emptyMiB.toFixed(0)} before`,
  );
  return { case: "ids-in-memory", lines, ids, idsMiB, seconds: rounded(seconds, 2), peakMiB, emptyMiB };
}

/** Sentence pairs of 3 to 14 words on each side, frequent words more often, the same each time. */
function* synthetic(count: number): Generator<string> {
  let state = 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const lexicon = (start: number) => Array.from({ length: words }, (_, index) => spelt(start + index * 7919));
  const [sources, targets] = [lexicon(0), lexicon(3)];
  // By frequency as in texts: the logarithm of the rank is spread evenly.
  const word = (list: readonly string[]) => list[Math.floor(words ** random()) - 1]!;
  const sentence = (list: readonly string[]) =>
    Array.from({ length: 3 + Math.floor(12 * random()) }, () => word(list)).join(" ");
  for (let done = 0; done < count; done += 1000) {
    let block = "";
    for (let line = done; line < Math.min(count, done + 1000); line++) {
      block += `${sentence(sources)}.\t${sentence(targets)} !\n`;
    }
    yield block;
  }
}

/** A word of three to seven letters that belongs to a number. */
function spelt(number: number): string {
  let rest = number * 31 + 676;
  let text = "";
  while (rest > 0 && text.length < 7) {
    text += "etaoinshrdlucmfwypvbgkjqxz"[rest % 26];
    rest = Math.floor(rest / 26);
  }
  return text;
}
