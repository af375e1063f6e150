import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import { Schedule } from "./schedule.ts";

/** Options of {@link polynomialDecay}. */
export interface PolynomialDecayOptions {
  /** Rate at the start, at least 0. */
  initialLearningRate: number;
  /** Steps of the decay, at least 1. */
  decaySteps: number;
  /** Rate at the end, at least 0; default 0.0001. */
  endLearningRate?: number;
  /** Exponent, at least 0; default 1, a straight line. */
  power?: number;
  /**
   * Whether the rate rises again after the end: the decay is then stretched to the next multiple of `decaySteps`. Default `false`:
   * it stays at `endLearningRate`.
   */
  cycle?: boolean;
}

/**
 * `(initialLearningRate - endLearningRate) (1 - step / decaySteps) ^ power + endLearningRate`.
 *
 * @param options - Start, end and the curve between.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.schedules.PolynomialDecay`
 */
export function polynomialDecay(options: PolynomialDecayOptions): Schedule {
  const where = "polynomialDecay";
  checkKeys(where, options, ["initialLearningRate", "decaySteps", "endLearningRate", "power", "cycle"]);
  const initialLearningRate = numberOption(where, "initialLearningRate", options.initialLearningRate, 0);
  const decaySteps = integerOption(where, "decaySteps", options.decaySteps, 1);
  const endLearningRate = numberOption(where, "endLearningRate", options.endLearningRate ?? 0.0001, 0);
  const power = numberOption(where, "power", options.power ?? 1, 0);
  const cycle = booleanOption(where, "cycle", options.cycle ?? false);
  return new Schedule({ type: where, initialLearningRate, decaySteps, endLearningRate, power, cycle }, (step) => {
    const cycles = cycle ? Math.max(1, Math.ceil(step / decaySteps)) : 1;
    const length = decaySteps * cycles;
    const left = 1 - Math.min(step, length) / length;
    return (initialLearningRate - endLearningRate) * left ** power + endLearningRate;
  });
}
