import { OptionError } from "../errors.ts";
import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";

/** A schedule as saved models hold it. */
export type ScheduleDocument = { readonly type: string; readonly [option: string]: unknown };

/** A learning rate that changes with the steps. Made by the functions in `schedules`, or a plain function of the step. */
export class Schedule {
  /** @internal */
  readonly document: ScheduleDocument;
  readonly #rate: (step: number) => number;

  /** @internal */
  constructor(document: ScheduleDocument, rate: (step: number) => number) {
    this.document = Object.freeze(document);
    this.#rate = rate;
  }

  /**
   * The learning rate of a step.
   *
   * @param step - From 0.
   * @throws OptionError if a function of the user gives no finite number.
   */
  at(step: number): number {
    const rate = this.#rate(step);
    if (typeof rate === "number" && Number.isFinite(rate)) return rate;
    throw new OptionError(`learningRate: expected a finite number for step ${step}, got ${String(rate)}`);
  }
}

/** Options of {@link inverseSqrt}. */
export interface InverseSqrtOptions {
  /** Learning rate at the end of the warm-up, at least 0. */
  peak: number;
  /** Steps in which the rate rises from 0, at least 1. */
  warmup: number;
}

/** Options of {@link exponentialDecay}. */
export interface ExponentialDecayOptions {
  /** At least 0. */
  initialLearningRate: number;
  /** Steps after which the rate is multiplied by `decayRate` once, at least 1. */
  decaySteps: number;
  /** At least 0. */
  decayRate: number;
  /** The rate falls in stairs instead of smoothly; default `false`. */
  staircase?: boolean;
}

/** Options of {@link cosineDecay}. */
export interface CosineDecayOptions {
  /** Rate at the start of the decay, or of the warm-up if there is one; at least 0. */
  initialLearningRate: number;
  /** Steps of the decay, at least 1. */
  decaySteps: number;
  /** Rate at the end, as a share of that at the start of the decay; default 0. */
  alpha?: number;
  /** Rate that the warm-up ends with; default none. */
  warmupTarget?: number;
  /** Steps of the warm-up, default 0. */
  warmupSteps?: number;
}

/** Options of {@link piecewiseConstant}. */
export interface PiecewiseConstantOptions {
  /** Last step of each piece but the last, rising. */
  boundaries: readonly number[];
  /** Rate of each piece: one more than boundaries. */
  values: readonly number[];
}

/**
 * `peak min(t / warmup, sqrt(warmup / t))` with `t = step + 1`.
 *
 * @param options - Peak and warm-up.
 * @throws OptionError if an option is unknown or out of range.
 * @see Vaswani et al., "Attention Is All You Need" (2017), section 5.3.
 */
export function inverseSqrt(options: InverseSqrtOptions): Schedule {
  checkKeys("inverseSqrt", options, ["peak", "warmup"]);
  const peak = numberOption("inverseSqrt", "peak", options.peak, 0);
  const warmup = integerOption("inverseSqrt", "warmup", options.warmup, 1);
  return new Schedule({ type: "inverseSqrt", peak, warmup }, (step) => {
    const time = step + 1;
    return peak * Math.min(time / warmup, Math.sqrt(warmup / time));
  });
}

/**
 * `initialLearningRate decayRate ^ (step / decaySteps)`.
 *
 * @param options - Start and decay.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.schedules.ExponentialDecay`
 */
export function exponentialDecay(options: ExponentialDecayOptions): Schedule {
  const where = "exponentialDecay";
  checkKeys(where, options, ["initialLearningRate", "decaySteps", "decayRate", "staircase"]);
  const initialLearningRate = numberOption(where, "initialLearningRate", options.initialLearningRate, 0);
  const decaySteps = integerOption(where, "decaySteps", options.decaySteps, 1);
  const decayRate = numberOption(where, "decayRate", options.decayRate, 0);
  const staircase = booleanOption(where, "staircase", options.staircase ?? false);
  return new Schedule({ type: where, initialLearningRate, decaySteps, decayRate, staircase }, (step) => {
    const pieces = step / decaySteps;
    return initialLearningRate * decayRate ** (staircase ? Math.floor(pieces) : pieces);
  });
}

/**
 * Half a cosine from the start to `alpha` times the start, after an optional linear warm-up.
 *
 * @param options - Start, decay and warm-up.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.schedules.CosineDecay`
 */
export function cosineDecay(options: CosineDecayOptions): Schedule {
  const where = "cosineDecay";
  checkKeys(where, options, ["initialLearningRate", "decaySteps", "alpha", "warmupTarget", "warmupSteps"]);
  const initialLearningRate = numberOption(where, "initialLearningRate", options.initialLearningRate, 0);
  const decaySteps = integerOption(where, "decaySteps", options.decaySteps, 1);
  const alpha = numberOption(where, "alpha", options.alpha ?? 0, 0, 1);
  const warmupSteps = integerOption(where, "warmupSteps", options.warmupSteps ?? 0, 0);
  const warmup = options.warmupTarget !== undefined;
  const target = warmup ? numberOption(where, "warmupTarget", options.warmupTarget, 0) : initialLearningRate;
  const document = { type: where, initialLearningRate, decaySteps, alpha, warmupSteps };
  return new Schedule(warmup ? { ...document, warmupTarget: target } : document, (step) => {
    if (warmup && step < warmupSteps) {
      return initialLearningRate + (target - initialLearningRate) * (step / warmupSteps);
    }
    const done = Math.min(warmup ? step - warmupSteps : step, decaySteps) / decaySteps;
    return target * (alpha + (1 - alpha) * 0.5 * (1 + Math.cos(Math.PI * done)));
  });
}

/**
 * One rate until a step, then another, and so on.
 *
 * @param options - Boundaries and rates.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.schedules.PiecewiseConstantDecay`
 */
export function piecewiseConstant(options: PiecewiseConstantOptions): Schedule {
  const where = "piecewiseConstant";
  checkKeys(where, options, ["boundaries", "values"]);
  if (!Array.isArray(options.boundaries) || !Array.isArray(options.values)) {
    throw new OptionError(`${where}: boundaries and values must be lists`);
  }
  const boundaries = options.boundaries.map((step: unknown) => integerOption(where, "boundaries", step, 0));
  const values = options.values.map((rate: unknown) => numberOption(where, "values", rate, 0));
  if (values.length !== boundaries.length + 1) {
    throw new OptionError(
      `${where}: expected ${boundaries.length + 1} values, one more than boundaries, got ${values.length}`,
    );
  }
  if (boundaries.some((step, index) => index > 0 && step <= boundaries[index - 1]!)) {
    throw new OptionError(`${where}: boundaries must rise`);
  }
  return new Schedule({ type: where, boundaries, values }, (step) => {
    const piece = boundaries.findIndex((boundary) => step <= boundary);
    return values[piece === -1 ? boundaries.length : piece]!;
  });
}

/** A function of the user as a schedule; its document says only that there was one. */
export function functionSchedule(rate: (step: number) => number): Schedule {
  return new Schedule({ type: "function" }, rate);
}
