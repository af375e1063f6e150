import { OptionError, StateError } from "../errors.ts";
import { booleanOption, checkKeys, nameOption, numberOption } from "../options.ts";
import { restoreSchedule } from "../schedules/restore.ts";
import { functionSchedule, Schedule } from "../schedules/schedule.ts";
import type { LearningRate } from "../training/trainable.ts";

/** A constant learning rate of at least 0, a schedule, or a function of the step, which counts from 0. */
export type LearningRateOption = number | Schedule | ((step: number) => number);

/** Options that all optimisers have. */
export interface OptimizerOptions {
  /** Default 0.001, for SGD 0.01. */
  learningRate?: LearningRateOption;
  /** Before a step weights lose `weight weightDecay learningRate`; at least 0, default 0, for AdamW 0.004. */
  weightDecay?: number;
  /** Largest norm of the gradient of each weight, above 0; only one of the three clippings may be set. */
  clipnorm?: number;
  /** Largest absolute value of the elements of gradients, above 0. */
  clipvalue?: number;
  /** Largest norm of all gradients together, above 0. */
  globalClipnorm?: number;
  /**
   * Adam and AdamW leave rows of embeddings alone that a batch does not touch, instead of moving them on by their momentum; faster
   * for large vocabularies, but another rule. Default `false`: exactly the dense rule.
   */
  sparse?: boolean;
}

/** Options of {@link sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /** From 0 to 1, default 0. */
  momentum?: number;
  /** Nesterov's momentum, default `false`. */
  nesterov?: boolean;
}

/** Options of {@link rmsprop}. */
export interface RmspropOptions extends OptimizerOptions {
  /** Decay of the averages, from 0 to 1, default 0.9. */
  rho?: number;
  /** From 0 to 1, default 0. */
  momentum?: number;
  /** Added inside the root, at least 0, default 1e-7. */
  epsilon?: number;
  /** Divide by the variance instead of the second moment; default `false`. */
  centered?: boolean;
}

/** Options of {@link adam} and {@link adamw}. */
export interface AdamOptions extends OptimizerOptions {
  /** Decay of the average of gradients, from 0 to below 1, default 0.9. */
  beta1?: number;
  /** Decay of the average of their squares, from 0 to below 1, default 0.999. */
  beta2?: number;
  /** Added outside the root, at least 0, default 1e-7. */
  epsilon?: number;
  /** Use the largest second moment so far; default `false`. */
  amsgrad?: boolean;
}

/** Optimisers with their default options. */
export type OptimizerName = "sgd" | "rmsprop" | "adam" | "adamw";

/** An optimiser as the addon takes it and saved models hold it, but for the learning rate. */
export interface OptimizerDocument {
  readonly type: OptimizerName;
  readonly [option: string]: number | boolean | string;
}

/** How gradients change weights. Made by the functions in `optimizers`; its state belongs to the compiled model. */
export class Optimizer implements LearningRate {
  /** All options but the learning rate. @internal */
  readonly document: OptimizerDocument;
  #rate: number | Schedule;

  /** @internal */
  constructor(document: OptimizerDocument, rate: LearningRateOption) {
    this.document = Object.freeze(document);
    this.#rate = checkRate(document.type, rate);
  }

  /** What kind of optimiser it is. */
  get type(): OptimizerName {
    return this.document.type;
  }

  /**
   * The constant learning rate. Can be set at any time, to a schedule too.
   *
   * @throws StateError when read while a schedule decides.
   */
  get learningRate(): number {
    if (typeof this.#rate === "number") return this.#rate;
    throw new StateError(`${this.type}: a schedule decides the learning rate: read it with at(step)`);
  }

  set learningRate(rate: LearningRateOption) {
    this.#rate = checkRate(this.type, rate);
  }

  /**
   * The learning rate of a step.
   *
   * @param iteration - From 0.
   */
  at(iteration: number): number {
    return typeof this.#rate === "number" ? this.#rate : this.#rate.at(iteration);
  }

  /** A number in any case: the addon is given the rate of each step anew. @internal */
  get constantRate(): number {
    return typeof this.#rate === "number" ? this.#rate : 0;
  }

  /** The learning rate as saved models hold it. @internal */
  get rateDocument(): number | Schedule["document"] {
    return typeof this.#rate === "number" ? this.#rate : this.#rate.document;
  }
}

function checkRate(where: string, rate: unknown): number | Schedule {
  if (rate instanceof Schedule) return rate;
  if (typeof rate === "function") return functionSchedule(rate as (step: number) => number);
  return numberOption(where, "learningRate", rate, 0);
}

const clippings = ["clipnorm", "clipvalue", "globalClipnorm"] as const;
const common = ["learningRate", "weightDecay", ...clippings, "sparse"];

/** Smallest and largest value of each numeric option. */
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  momentum: [0, 1],
  rho: [0, 1],
  epsilon: [0, Number.POSITIVE_INFINITY],
  beta1: [0, 1],
  beta2: [0, 1],
  weightDecay: [0, Number.POSITIVE_INFINITY],
};

function make(
  type: OptimizerName,
  options: object,
  rate: number,
  defaults: Readonly<Record<string, number | boolean>>,
): Optimizer {
  checkKeys(type, options, [...common, ...Object.keys(defaults)]);
  const given = options as Readonly<Record<string, unknown>>;
  const document: Record<string, number | boolean | string> = { type };
  for (const [name, standard] of Object.entries({ weightDecay: 0, sparse: false, ...defaults })) {
    const value = given[name] ?? standard;
    document[name] =
      typeof standard === "boolean"
        ? booleanOption(type, name, value)
        : numberOption(type, name, value, ...(ranges[name] ?? []));
  }
  for (const name of ["beta1", "beta2"]) {
    if (document[name] === 1) throw new OptionError(`${type}: ${name} must be below 1, got 1`);
  }
  const set = clippings.filter((name) => given[name] !== undefined);
  if (set.length > 1)
    throw new OptionError(`${type}: only one of ${clippings.join(", ")} may be set, got ${set.join(", ")}`);
  for (const name of set) {
    document[name] = numberOption(type, name, given[name], 0);
    if (document[name] === 0) throw new OptionError(`${type}: ${name} must be above 0, got 0`);
  }
  return new Optimizer(
    document as unknown as OptimizerDocument,
    (given.learningRate as LearningRateOption | undefined) ?? rate,
  );
}

/**
 * Stochastic gradient descent: `w -= learningRate g`; with momentum `v = momentum v - learningRate g`, `w += v`.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.SGD`
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  return make("sgd", options, 0.01, { momentum: 0, nesterov: false });
}

/**
 * RMSprop: `v = rho v + (1 - rho) g^2`, `w -= learningRate g / sqrt(v + epsilon)`.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.optimizers.RMSprop`
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  return make("rmsprop", options, 0.001, { rho: 0.9, momentum: 0, epsilon: 1e-7, centered: false });
}

const adamDefaults = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, amsgrad: false };

/**
 * Adam: `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`,
 * `w -= learningRate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)`.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015); `keras.optimizers.Adam`
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return make("adam", options, 0.001, adamDefaults);
}

/**
 * {@link adam} with weight decay that does not pass through the averages.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019); `keras.optimizers.AdamW`
 */
export function adamw(options: AdamOptions = {}): Optimizer {
  return make("adamw", options, 0.001, { ...adamDefaults, weightDecay: 0.004 });
}

const factories: Readonly<Record<OptimizerName, (options?: object) => Optimizer>> = { sgd, rmsprop, adam, adamw };
const names = Object.keys(factories) as OptimizerName[];

/** The optimiser that an option means. */
export function resolveOptimizer(where: string, value: unknown): Optimizer {
  if (value instanceof Optimizer) return value;
  return factories[nameOption(where, "optimizer", value, names)]();
}

/**
 * The optimiser of a saved document.
 *
 * @throws OptionError if a field is unknown or out of range.
 */
export function restoreOptimizer(document: unknown): Optimizer {
  const { type, learningRate, ...options } = (
    typeof document === "object" && document !== null ? document : {}
  ) as Record<string, unknown>;
  const rate = typeof learningRate === "number" ? learningRate : restoreSchedule(learningRate);
  return factories[nameOption("optimizer", "type", type, names)]({ ...options, learningRate: rate });
}
