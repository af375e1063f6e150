import type { RunnableCase } from "./lstm-step.ts";
import { rounded } from "./statistics.ts";
import { Worker, type WorkerCommand } from "./worker.ts";

/** Updates that a side makes before the other takes its turn; the points of a curve. */
const turn = 50;

/** Mean losses of every 50 updates of some sides, and how far they lie from those of the first. */
export interface LossCurves {
  updates: number;
  curves: { name: string; losses: number[] }[];
  /** The largest distance of a point of another curve from the first one's, in percent of that. */
  differencePercent: number;
}

/** Trains a case from the same weights on all sides, in turns, as often as `updates` says; its batches repeat. */
export async function lossCurves(
  sides: readonly { name: string; start: WorkerCommand }[],
  described: RunnableCase,
  updates: number,
): Promise<LossCurves> {
  const running = sides.map(({ name, start }) => ({ name, worker: new Worker(start), losses: [] as number[] }));
  try {
    for (const { worker } of running) await worker.ask({ command: "open", ...described });
    for (let first = 0; first < updates; first += turn) {
      const count = Math.min(turn, updates - first);
      for (const { worker, losses } of running) {
        const answer = await worker.ask<{ losses: number[] }>({ command: "run", first, count });
        losses.push(answer.losses.reduce((sum, loss) => sum + loss, 0) / count);
      }
      const now = running.map(({ name, losses }) => `${name} ${losses.at(-1)!.toFixed(4)}`);
      console.log(`  ${first + count} updates: mean loss ${now.join(", ")}`);
    }
    const [base, ...others] = running;
    const distances = others.flatMap(({ losses }) =>
      losses.map((loss, point) => (100 * Math.abs(loss - base!.losses[point]!)) / base!.losses[point]!),
    );
    const differencePercent = rounded(Math.max(...distances), 3);
    console.log(`  at most ${differencePercent} % from ${base!.name}`);
    return { updates, curves: running.map(({ name, losses }) => ({ name, losses })), differencePercent };
  } finally {
    for (const { worker } of running) worker.close();
  }
}
