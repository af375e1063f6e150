import { existsSync } from "node:fs";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
import { attempt, type Description, measured, peer, Worker } from "./worker.ts";

interface Answer {
  milliseconds: number;
  tokens: number;
  checksum?: number;
  peakMiB: number | null;
  delayP99Ms?: number;
  delayMaxMs?: number;
}

interface Side {
  name: string;
  worker: Worker;
  request: Record<string, unknown>;
  error?: string;
}

const rounds = 7;
const vocabularySize = 8000;

/** Training byte pairs and encoding with them, ours and Hugging Face's tokenizers in turn, on WikiText-2. */
export async function tokenizer({ python, threads, percent, case: only, data }: BenchOptions): Promise<Report> {
  const file = join(data ?? "", "lm/wikitext-2.train.tokens.gz");
  if (data === undefined || !existsSync(file)) {
    throw new UsageError(
      "tokenizer: --data (or SCONCE_DATA) must name the folder that holds lm/wikitext-2.train.tokens.gz",
    );
  }
  const report: Report = { bench: "tokenizer", machine: {}, versions: {}, cases: [] };
  for (const byteLevel of [false, true]) {
    const name = byteLevel ? "bytes" : "characters";
    if (only !== undefined && !only.startsWith(name)) continue;
    report.cases.push(...(await runPipeline(name, byteLevel, { python, threads, percent }, file, report)));
  }
  return report;
}

async function runPipeline(
  name: string,
  byteLevel: boolean,
  { python, threads, percent }: { python: string | undefined; threads: number; percent: number },
  file: string,
  report: Report,
) {
  const environment = { RAYON_NUM_THREADS: String(threads), TOKENIZERS_PARALLELISM: "true" };
  const ours = new Worker(measured("tokenizer.mjs", [], { SCONCE_THREADS: String(threads) }));
  const sides: Side[] = [{ name: "sconce", worker: ours, request: { byteLevel, vocabularySize } }];
  // A usual pipeline takes part too: regular expressions cost the peer much.
  for (const pipeline of byteLevel ? ["same"] : ["same", "metaspace"]) {
    const worker = new Worker(peer(python ?? "", ["tokenizer.py"], environment));
    sides.push({ name: `tokenizers-${pipeline}`, worker, request: { pipeline, byteLevel, vocabularySize } });
  }
  try {
    const { machine, versions } = await ours.ask<Description>({ command: "describe" });
    Object.assign(report.machine, machine);
    Object.assign(report.versions, versions);
    const lines = percent < 100 ? Math.max(500, 367 * percent) : null;
    await ours.ask({ command: "open", file, lines });
    await ours.ask({ command: "train", byteLevel, vocabularySize });
    const { document } = await ours.ask<{ document: string }>({ command: "document" });
    for (const side of sides.slice(1)) {
      side.request.document = document;
      await attempt(side, side.name, async () => {
        const described = await side.worker.ask<Description>({ command: "describe" });
        Object.assign(report.versions, described.versions);
        await side.worker.ask({ command: "open", file, lines });
        await side.worker.ask({ command: "train", ...side.request });
      });
    }
    const cases = [];
    for (const command of ["train", "encode"]) {
      cases.push(await runCase(`${name}-${command}`, command, sides, percent < 100 ? 2 : rounds));
    }
    return cases;
  } finally {
    for (const { worker } of sides) worker.close();
  }
}

async function runCase(name: string, command: string, sides: Side[], count: number) {
  const answers = new Map<Side, Answer[]>(sides.map((side) => [side, []]));
  // The first round warms up.
  for (let round = 0; round <= count; round++) {
    for (const side of sides) {
      await attempt(side, side.name, async () => {
        const answer = await side.worker.ask<Answer>({ command, ...side.request });
        if (round > 0) answers.get(side)!.push(answer);
      });
    }
  }
  console.log(name);
  const results = sides.map((side) => summary(side, answers.get(side)!));
  const [ours, ...peers] = results as [(typeof results)[0], ...typeof results];
  const [same] = peers;
  const agree = command === "encode" && same?.error === undefined ? ours.checksum === same?.checksum : null;
  const complete = peers.every(({ error }) => error === undefined) && agree !== false;
  const fastest = Math.min(...peers.map(({ medianMs }) => medianMs ?? Number.POSITIVE_INFINITY));
  const ratio = complete && ours.medianMs !== null ? rounded(fastest / ours.medianMs) : null;
  console.log(`  ratio ${ratio ?? "none"}${agree === null ? "" : agree ? ", equal ids" : ", ids differ"}`);
  return { case: name, ours, peers, idsAgree: agree, ratio };
}

function summary(side: Side, answers: Answer[]) {
  const times = answers.map(({ milliseconds }) => milliseconds);
  const last = answers.at(-1);
  const failed = side.error !== undefined || last === undefined;
  const most = (field: "delayP99Ms" | "delayMaxMs") => Math.max(...answers.map((answer) => answer[field] ?? 0));
  const result = {
    name: side.name,
    ...(side.error === undefined ? {} : { error: side.error }),
    minMs: failed ? null : rounded(Math.min(...times), 1),
    medianMs: failed ? null : rounded(median(times), 1),
    peakMiB: last?.peakMiB ?? null,
    tokens: last?.tokens ?? null,
    checksum: last?.checksum ?? null,
    ...(last?.delayMaxMs === undefined
      ? {}
      : { delayP99Ms: rounded(most("delayP99Ms")), delayMaxMs: rounded(most("delayMaxMs")) }),
  };
  const delay =
    last?.delayMaxMs === undefined ? "" : `, event loop p99 ${result.delayP99Ms} ms, most ${result.delayMaxMs} ms`;
  console.log(
    `  ${side.name}: ${failed ? side.error : `median ${result.medianMs} ms, ${result.tokens} tokens${delay}`}`,
  );
  return result;
}
