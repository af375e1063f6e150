import type { MetricSums, StepResult } from "../native-interface.ts";
import type { Logs } from "./history.ts";
import { allMetrics, lossName, metricNames } from "./names.ts";
import type { TrainedOutput } from "./trainable.ts";

/** Sums of a pass over data so far, as a checkpoint keeps them. */
export interface TallyState {
  /** Rows of all batches. */
  rows: number;
  /** Losses times the rows of their batches. */
  loss: number;
  /** The same for each output, and the sums of its metrics. */
  outputs: { loss: number; metrics: MetricSums[] }[];
  /** Valid target entries of all batches. */
  tokens: number;
}

/**
 * The running values of a pass over data: the loss is the mean of the batches' losses weighted by their rows, a metric is made of
 * the sums of its totals and counts.
 */
export class Tally {
  readonly #outputs: readonly TrainedOutput[];
  #state: TallyState;

  constructor(outputs: readonly TrainedOutput[], state?: TallyState) {
    this.#outputs = outputs;
    this.#state = state ?? {
      rows: 0,
      loss: 0,
      outputs: outputs.map((output) => ({
        loss: 0,
        metrics: allMetrics(output).map(() => ({ total: 0, count: 0 })),
      })),
      tokens: 0,
    };
  }

  /** Adds a batch. */
  add(result: StepResult, rows: number): void {
    const state = this.#state;
    state.rows += rows;
    state.loss += result.loss * rows;
    state.tokens += result.tokens;
    for (const [index, output] of state.outputs.entries()) {
      const step = result.outputs[index];
      if (step === undefined) continue;
      output.loss += step.loss * rows;
      for (const [position, sums] of output.metrics.entries()) {
        sums.total += step.metrics[position]?.total ?? 0;
        sums.count += step.metrics[position]?.count ?? 0;
      }
    }
  }

  /** Valid target entries so far. */
  get tokens(): number {
    return this.#state.tokens;
  }

  /** A copy of the sums. */
  state(): TallyState {
    return structuredClone(this.#state);
  }

  /** The values so far. */
  values(): Logs {
    const { rows, loss, outputs } = this.#state;
    const several = this.#outputs.length > 1;
    const logs: Logs = { loss: loss / rows };
    if (several) {
      for (const [index, output] of this.#outputs.entries()) {
        if (output.lossWeight !== null) logs[lossName(output)] = outputs[index]!.loss / rows;
      }
    }
    const names = metricNames(this.#outputs);
    for (const [index, output] of this.#outputs.entries()) {
      for (const [position, metric] of allMetrics(output).entries()) {
        const { total, count } = outputs[index]!.metrics[position]!;
        logs[names[index]![position]!] = metric.read(total, count);
      }
    }
    return logs;
  }
}
