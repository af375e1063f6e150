import { checkKeys, integerOption, numberOption } from "../options.ts";
import { Schedule } from "./schedule.ts";

/** Options of {@link cosineDecayRestarts}. */
export interface CosineDecayRestartsOptions {
  /** Rate at the start, at least 0. */
  initialLearningRate: number;
  /** Steps of the first period, at least 1. */
  firstDecaySteps: number;
  /** Length of each period as a multiple of the one before, at least 1; default 2. */
  tMul?: number;
  /** Rate that each period starts with as a multiple of the one before, at least 0; default 1. */
  mMul?: number;
  /** Rate at the end of each period, as a share of `initialLearningRate`; from 0 to 1, default 0. */
  alpha?: number;
}

/**
 * Half a cosine down to `alpha initialLearningRate`, again and again, in periods that grow by `tMul` and start `mMul` times as high.
 *
 * The first step of a period has the rate of its start. In Keras it has that of the end before where the logarithm that counts the
 * periods is rounded down.
 *
 * @param options - Start, end and periods.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.schedules.CosineDecayRestarts`
 * @see Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017).
 */
export function cosineDecayRestarts(options: CosineDecayRestartsOptions): Schedule {
  const where = "cosineDecayRestarts";
  checkKeys(where, options, ["initialLearningRate", "firstDecaySteps", "tMul", "mMul", "alpha"]);
  const initialLearningRate = numberOption(where, "initialLearningRate", options.initialLearningRate, 0);
  const firstDecaySteps = integerOption(where, "firstDecaySteps", options.firstDecaySteps, 1);
  const tMul = numberOption(where, "tMul", options.tMul ?? 2, 1);
  const mMul = numberOption(where, "mMul", options.mMul ?? 1, 0);
  const alpha = numberOption(where, "alpha", options.alpha ?? 0, 0, 1);
  return new Schedule({ type: where, initialLearningRate, firstDecaySteps, tMul, mMul, alpha }, (step) => {
    const [restarts, done] = place(step / firstDecaySteps, tMul);
    const decayed = 0.5 * mMul ** restarts * (1 + Math.cos(Math.PI * done));
    return initialLearningRate * ((1 - alpha) * decayed + alpha);
  });
}

/** How often it has restarted, and the share of the current period that is over. `time` is in lengths of the first. */
function place(time: number, tMul: number): [restarts: number, done: number] {
  if (tMul === 1) return [Math.floor(time), time - Math.floor(time)];
  const start = (restarts: number) => (tMul ** restarts - 1) / (tMul - 1);
  let restarts = Math.floor(Math.log(1 + time * (tMul - 1)) / Math.log(tMul));
  // The logarithms are rounded; the powers of an integer are exact.
  if (start(restarts) > time) restarts -= 1;
  else if (start(restarts + 1) <= time) restarts += 1;
  return [restarts, (time - start(restarts)) / tMul ** restarts];
}
