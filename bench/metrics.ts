import { existsSync } from "node:fs";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import type { Report } from "./report.ts";
import { median, rounded } from "./statistics.ts";
import { type Description, measured, peer, Worker } from "./worker.ts";

interface Answer {
  milliseconds: number;
  /** For each system BLEU and chrF. */
  scores: [number, number][];
  peakMiB: number | null;
}

const rounds = 5;
const cases = { "one-reference": ["refA"], "two-references": ["refB", "refA"] } as const;

/** BLEU and chrF of the 13 systems of WMT22 en-zh, ours and sacreBLEU's in turn; both sides read nothing while they are measured. */
export async function metrics({ python, threads, percent, case: only, data }: BenchOptions): Promise<Report> {
  const file = join(data ?? "", "conformance/wmt22/wmt22.en-zh.tsv.gz");
  if (data === undefined || !existsSync(file)) {
    throw new UsageError(
      "metrics: --data (or SCONCE_DATA) must name the folder that holds conformance/wmt22/wmt22.en-zh.tsv.gz",
    );
  }
  const report: Report = { bench: "metrics", machine: {}, versions: {}, cases: [] };
  const ours = new Worker(measured("metrics.mjs", [], { SCONCE_THREADS: String(threads) }));
  const theirs = new Worker(peer(python ?? "", ["metrics.py"], {}));
  try {
    const { machine, versions } = await ours.ask<Description>({ command: "describe" });
    Object.assign(report.machine, machine);
    Object.assign(report.versions, versions);
    const lines = percent < 100 ? Math.max(50, 20 * percent) : null;
    const opened = await ours.ask<{ systems: number; segments: number }>({ command: "open", file, lines });
    let error: string | undefined;
    try {
      const described = await theirs.ask<Description>({ command: "describe" });
      Object.assign(report.versions, described.versions);
      await theirs.ask({ command: "open", file, lines });
    } catch (failure) {
      error = (failure as Error).message;
    }
    for (const [name, references] of Object.entries(cases)) {
      if (only !== undefined && only !== name) continue;
      console.log(`${name}: ${opened.systems} systems, ${opened.segments} segments`);
      const answers: { ours: Answer[]; theirs: Answer[] } = { ours: [], theirs: [] };
      // The first round warms up.
      for (let round = 0; round <= (percent < 100 ? 1 : rounds); round++) {
        const own = await ours.ask<Answer>({ command: "score", references });
        if (round > 0) answers.ours.push(own);
        if (error !== undefined) continue;
        const other = await theirs.ask<Answer>({ command: "score", references });
        if (round > 0) answers.theirs.push(other);
      }
      report.cases.push(result(name, opened, answers, error));
    }
    return report;
  } finally {
    ours.close();
    theirs.close();
  }
}

function result(
  name: string,
  opened: { systems: number; segments: number },
  { ours, theirs }: { ours: Answer[]; theirs: Answer[] },
  error: string | undefined,
) {
  const own = summary("sconce", ours);
  if (error !== undefined) {
    console.log(`  sacrebleu: ${error}`);
    return { case: name, ...opened, ours: own, peer: { name: "sacrebleu", error }, ratio: null };
  }
  const other = summary("sacrebleu", theirs);
  const [mine, their] = [ours.at(-1)!.scores.flat(), theirs.at(-1)!.scores.flat()];
  const largestDifference = Math.max(...mine.map((score, index) => Math.abs(score - their[index]!)));
  const ratio =
    mine.length === their.length && largestDifference < 1e-9 ? rounded(other.medianMs / own.medianMs) : null;
  console.log(`  ratio ${ratio ?? "none"}, largest difference of a score ${largestDifference}`);
  return { case: name, ...opened, ours: own, peer: other, largestDifference, ratio };
}

function summary(name: string, answers: Answer[]) {
  const times = answers.map(({ milliseconds }) => milliseconds);
  const [medianMs, minMs] = [rounded(median(times), 1), rounded(Math.min(...times), 1)];
  console.log(`  ${name}: median ${medianMs} ms, least ${minMs} ms`);
  return { name, medianMs, minMs, peakMiB: answers.at(-1)!.peakMiB };
}
