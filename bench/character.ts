import { fileURLToPath } from "node:url";
import type { BenchOptions } from "./arguments.ts";
import { lastObject } from "./last-object.ts";
import type { Report } from "./report.ts";
import { rounded } from "./statistics.ts";
import { describeOurs } from "./worker.ts";

interface Run {
  versions?: Record<string, unknown>;
  seconds?: number;
  history: { loss: number[]; accuracy: number[]; valLoss: number[]; valAccuracy: number[] };
}

const epochs = 25;
const inRepository = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The character-level tutorial: our example against the script of Keras on the same pairs. */
export async function character({ python, threads, percent }: BenchOptions): Promise<Report> {
  const wanted = String(Math.max(1, Math.round((epochs * percent) / 100)));
  const { machine, versions } = await describeOurs(threads);
  const report: Report = { bench: "character", machine, versions, cases: [] };
  const example = ["--import=tsx", inRepository("examples/character-tutorial.ts"), "--json", "--epochs", wanted];
  const ours = await lastObject<Run>(process.execPath, example, { SCONCE_THREADS: String(threads) }, percent < 100);
  const best = bestOf(ours);
  show("sconce", best);
  const entry: Record<string, unknown> = { case: `${wanted} epochs`, ours: best, peers: [] };
  report.cases.push(entry);
  const name = "keras-tensorflow";
  if (python === undefined) {
    entry.peers = [{ name, error: "not run: give --python" }];
    return report;
  }
  const script = [
    inRepository("bench/peers/character.py"),
    inRepository("data/tatoeba-en-fr.train-10000.tsv.gz"),
    wanted,
  ];
  const peer = await lastObject<Run>(python, script, { CUDA_VISIBLE_DEVICES: "", TF_CPP_MIN_LOG_LEVEL: "3" });
  Object.assign(versions, peer.versions);
  const theirs = bestOf(peer);
  show(name, theirs);
  entry.peers = [{ name, ...theirs }];
  entry.lossDifference = rounded(best.valLoss - theirs.valLoss, 4);
  entry.accuracyDifference = rounded(best.valAccuracy - theirs.valAccuracy, 4);
  console.log(`difference: loss ${entry.lossDifference}, accuracy ${entry.accuracyDifference}`);
  return report;
}

function bestOf({ history, seconds }: Run) {
  return { valLoss: Math.min(...history.valLoss), valAccuracy: Math.max(...history.valAccuracy), seconds, history };
}

function show(name: string, { valLoss, valAccuracy, seconds }: ReturnType<typeof bestOf>): void {
  const time = seconds === undefined ? "" : `, ${seconds.toFixed(0)} s`;
  console.log(`${name}: best validation loss ${valLoss.toFixed(4)}, accuracy ${valAccuracy.toFixed(4)}${time}`);
}
