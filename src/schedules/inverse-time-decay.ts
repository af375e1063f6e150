import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import { Schedule } from "./schedule.ts";

/** Options of {@link inverseTimeDecay}. */
export interface InverseTimeDecayOptions {
  /** At least 0. */
  initialLearningRate: number;
  /** Steps after which the decay has grown by `decayRate` once, at least 1. */
  decaySteps: number;
  /** At least 0. */
  decayRate: number;
  /** The rate falls in stairs instead of smoothly; default `false`. */
  staircase?: boolean;
}

/**
 * `initialLearningRate / (1 + decayRate step / decaySteps)`.
 *
 * @param options - Start and decay.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.schedules.InverseTimeDecay`
 */
export function inverseTimeDecay(options: InverseTimeDecayOptions): Schedule {
  const where = "inverseTimeDecay";
  checkKeys(where, options, ["initialLearningRate", "decaySteps", "decayRate", "staircase"]);
  const initialLearningRate = numberOption(where, "initialLearningRate", options.initialLearningRate, 0);
  const decaySteps = integerOption(where, "decaySteps", options.decaySteps, 1);
  const decayRate = numberOption(where, "decayRate", options.decayRate, 0);
  const staircase = booleanOption(where, "staircase", options.staircase ?? false);
  return new Schedule({ type: where, initialLearningRate, decaySteps, decayRate, staircase }, (step) => {
    const pieces = step / decaySteps;
    return initialLearningRate / (1 + decayRate * (staircase ? Math.floor(pieces) : pieces));
  });
}
