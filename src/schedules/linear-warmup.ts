import { OptionError } from "../errors.ts";
import { checkKeys, integerOption, numberOption } from "../options.ts";
import { Schedule } from "./schedule.ts";

/** Options of {@link linearWarmup}. */
export interface LinearWarmupOptions {
  /** Rate that the warm-up ends with, at least 0. */
  peak: number;
  /** Steps of the warm-up, at least 1. */
  warmup: number;
  /**
   * What follows, with steps counted from 0 at the end of the warm-up: any schedule but another warm-up. It should start at `peak`; one
   * that does not makes a jump. Default: the rate stays at `peak`.
   */
  after?: Schedule;
}

/**
 * `peak step / warmup` before step `warmup`, so that step 0 has a rate of 0 and step `warmup` the first of `peak`; then `peak`, or
 * another schedule from its start.
 *
 * @param options - Peak, length, and what follows.
 * @throws OptionError if an option is unknown or out of range.
 * @see The warm-up of `keras.optimizers.schedules.CosineDecay`, which this is for any schedule.
 *
 * @example
 * ```ts
 * import { adam, cosineDecay, linearWarmup } from "sconce";
 *
 * const decay = cosineDecay({ initialLearningRate: 7e-4, decaySteps: 20_000 });
 * export const optimizer = adam({ learningRate: linearWarmup({ peak: 7e-4, warmup: 4000, after: decay }) });
 * ```
 */
export function linearWarmup(options: LinearWarmupOptions): Schedule {
  const where = "linearWarmup";
  checkKeys(where, options, ["peak", "warmup", "after"]);
  const peak = numberOption(where, "peak", options.peak, 0);
  const warmup = integerOption(where, "warmup", options.warmup, 1);
  const next = options.after;
  if (next !== undefined && !(next instanceof Schedule)) {
    throw new OptionError(`${where}: after must be a schedule, such as cosineDecay({ ... })`);
  }
  if (next?.document.type === where) {
    throw new OptionError(`${where}: after must not be another warm-up; use piecewiseConstant for stairs`);
  }
  const document = { type: where, peak, warmup };
  return new Schedule(next === undefined ? document : { ...document, after: next.document }, (step) => {
    if (step < warmup) return peak * (step / warmup);
    return next === undefined ? peak : next.at(step - warmup);
  });
}
