import { OptionError } from "../../errors.ts";
import { numberOption } from "../../options.ts";
import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";
import type { Callback } from "./callback.ts";

/** {@link learningRateSchedule}. */
export class LearningRateScheduler implements Callback {
  readonly #schedule: (epoch: number, learningRate: number) => number;

  /** @internal */
  constructor(schedule: (epoch: number, learningRate: number) => number) {
    if (typeof schedule !== "function") throw new OptionError("learningRateSchedule: expected a function");
    this.#schedule = schedule;
  }

  /** @internal */
  onEpochBegin(epoch: number, _logs: Logs, model: Trainable): void {
    const rate = this.#schedule(epoch, model.optimizer.learningRate);
    model.optimizer.learningRate = numberOption("learningRateSchedule", `the rate of epoch ${epoch}`, rate, 0);
  }

  /** @internal */
  onEpochEnd(_epoch: number, logs: Logs, model: Trainable): void {
    logs.learningRate = model.optimizer.learningRate;
  }
}

/**
 * Sets the learning rate before each epoch, and logs `learningRate`. For a rate that changes with each step give the optimiser a
 * schedule.
 *
 * @param schedule - Gives the rate for an epoch, counted from 0, and the rate before.
 * @throws OptionError if it is no function; from `fit`, if it gives no number of at least 0.
 * @see Keras `LearningRateScheduler`.
 */
export function learningRateSchedule(schedule: (epoch: number, learningRate: number) => number): LearningRateScheduler {
  return new LearningRateScheduler(schedule);
}
