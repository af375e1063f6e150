import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import { stepPeer } from "./lstm-step.ts";
import type { Report } from "./report.ts";
import { rounded } from "./statistics.ts";
import { attempt, measured, Worker, type WorkerCommand } from "./worker.ts";

/** The usual sizes and recipe of PyTorch's example. */
const recipe = { units: 200, layers: 2, dropout: 0.2, window: 35, rows: 20, clip: 0.25, seed: 1111 };
const firstRate = 20;
/** Words of a shortened run at one percent. */
const tokensOfPercent = 2000;

interface EpochResult {
  loss: number;
  validationLoss: number;
  seconds: number;
}

interface Writer {
  name: string;
  worker: Worker;
  learningRate: number;
  bestLoss: number;
  epochs: (EpochResult & { learningRate: number })[];
  error?: string;
}

/** A recurrent language model of words on WikiText-2 here and as in PyTorch's example: test perplexity and time of both. */
export async function languageModel(options: BenchOptions): Promise<Report> {
  if (options.case !== undefined) throw new UsageError("language-model: it has no cases");
  const files = filesOf(options);
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "language-model", machine: {}, versions: {}, cases: [] };
  const writer = (name: string, start: WorkerCommand): Writer => ({
    name,
    worker: new Worker(start),
    learningRate: firstRate,
    bestLoss: Number.POSITIVE_INFINITY,
    epochs: [],
  });
  const threads = String(options.threads);
  const ours = writer("sconce", measured("language-model.mjs", [], { SCONCE_THREADS: threads }));
  const theirs = writer("torch-eager", stepPeer("language_model.py", options)(threads));
  const writers = [ours, theirs];
  try {
    const idsFile = join(folder, "wikitext-2.ids");
    const tokens = options.tokens ?? (options.percent < 100 ? tokensOfPercent * options.percent : null);
    const text = await ours.worker.ask<{ vocabulary: number; texts: Record<string, { shape: number[] }> }>({
      command: "prepare",
      files,
      tokens,
      idsFile,
    });
    const words = text.texts.training!.shape[0]!;
    console.log(`${words} words of training, vocabulary ${text.vocabulary}`);
    for (const one of writers) await attempt(one, one.name, () => open(one, { ...recipe, ...text, idsFile }, report));
    const epochs = options.epochs ?? 1;
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const one of writers) await attempt(one, one.name, () => learn(one, epoch));
    }
    const results = [];
    for (const one of writers) results.push(await resultOf(one));
    const [own, peer] = results as [WriterResult, WriterResult];
    const both = own.testPerplexity !== null && peer.testPerplexity !== null;
    const perplexityRatio = both ? rounded(own.testPerplexity! / peer.testPerplexity!, 4) : null;
    const ratio = both ? rounded(peer.seconds / own.seconds) : null;
    console.log(
      `perplexity ratio ${perplexityRatio ?? "none"} (below 1 ours is better), time ratio ${ratio ?? "none"}`,
    );
    report.cases.push({ case: "wikitext-2", words, epochs, ours: own, peers: [peer], perplexityRatio, ratio });
  } finally {
    for (const { worker } of writers) worker.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}

function filesOf({ data }: BenchOptions): Record<string, string> {
  const file = (part: string) => join(data ?? "", "lm", `wikitext-2.${part}.tokens.gz`);
  const files = { training: file("train"), validation: file("valid"), test: file("test") };
  if (data === undefined || !Object.values(files).every((path) => existsSync(path))) {
    throw new UsageError(
      "language-model: --data (or SCONCE_DATA) must name the folder that holds lm/wikitext-2.train.tokens.gz, " +
        "lm/wikitext-2.valid.tokens.gz and lm/wikitext-2.test.tokens.gz",
    );
  }
  return files;
}

async function open({ worker }: Writer, request: object, report: Report): Promise<void> {
  const described = await worker.ask<{ machine?: object; versions: object }>({ command: "describe" });
  Object.assign(report.machine, described.machine);
  Object.assign(report.versions, described.versions);
  await worker.ask({ command: "open", ...request });
}

/** The rate is divided by four after an epoch that does not make the validation loss better, as in the example. */
async function learn(writer: Writer, epoch: number): Promise<void> {
  const { worker, learningRate } = writer;
  const result = await worker.ask<EpochResult>({ command: "epoch", epoch, learningRate });
  writer.epochs.push({ ...result, learningRate });
  if (result.validationLoss < writer.bestLoss) {
    writer.bestLoss = result.validationLoss;
    await worker.ask({ command: "keep" });
  } else {
    writer.learningRate /= 4;
  }
  const { seconds, validationLoss } = result;
  const perplexity = Math.exp(validationLoss).toFixed(2);
  console.log(`${writer.name}, epoch ${epoch + 1}: validation perplexity ${perplexity}, ${seconds.toFixed(0)} s`);
}

interface WriterResult {
  name: string;
  /** `exp` of the mean loss of a word, after the epoch that validates best. */
  testPerplexity: number | null;
  /** Of training alone. */
  seconds: number;
  peakMiB: number | null;
  epochs: Writer["epochs"];
  error?: string;
}

async function resultOf(writer: Writer): Promise<WriterResult> {
  let testPerplexity: number | null = null;
  let peak: number | null = null;
  await attempt(writer, writer.name, async () => {
    const { loss, peakMiB } = await writer.worker.ask<{ loss: number; peakMiB: number | null }>({ command: "test" });
    testPerplexity = rounded(Math.exp(loss));
    peak = peakMiB === null ? null : rounded(peakMiB, 1);
    console.log(`${writer.name}: test perplexity ${testPerplexity}`);
  });
  const seconds = rounded(writer.epochs.reduce((sum, epoch) => sum + epoch.seconds, 0));
  const failed = writer.error === undefined ? {} : { error: writer.error };
  return { name: writer.name, testPerplexity, seconds, peakMiB: peak, epochs: writer.epochs, ...failed };
}
