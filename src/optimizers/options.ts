import type { Schedule } from "../schedules/schedule.ts";

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
   * Keep an average of each weight over the steps. `fit` ends with the averages as the weights; an own loop ends with
   * `Model.finalizeVariableValues`. Default `false`.
   */
  useEma?: boolean;
  /** What an average keeps of itself in a step, from 0 to 1; default 0.99. */
  emaMomentum?: number;
  /** Steps after which the weights are replaced by their averages again and again, from 1; default `null`: only at the end. */
  emaOverwriteFrequency?: number | null;
  /**
   * Steps whose gradients are averaged for one update, from 2; default `null`: every step updates. Unlike with
   * `accumulateSteps` of `fit`, a group may reach over the end of an epoch. Schedules count steps, averages count updates.
   */
  gradientAccumulationSteps?: number | null;
  /**
   * Adam and AdamW leave rows of embeddings alone that a batch does not touch, instead of moving them on by their momentum; faster
   * for large vocabularies, but another rule. Default `false`: exactly the dense rule.
   */
  sparse?: boolean;
}

/** Options of `sgd`. */
export interface SgdOptions extends OptimizerOptions {
  /** From 0 to 1, default 0. */
  momentum?: number;
  /** Nesterov's momentum, default `false`. */
  nesterov?: boolean;
}

/** Options of `rmsprop`. */
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

/** Options of `adamax`, `nadam` and `lamb`. */
export interface BetasOptions extends OptimizerOptions {
  /** Decay of the average of gradients, from 0 to below 1, default 0.9. */
  beta1?: number;
  /** Decay of the average of their squares, for Adamax of the largest gradient; from 0 to below 1, default 0.999. */
  beta2?: number;
  /** Added outside the root, at least 0, default 1e-7. */
  epsilon?: number;
}

/** Options of `adam` and `adamw`. */
export interface AdamOptions extends BetasOptions {
  /** Use the largest second moment so far; default `false`. */
  amsgrad?: boolean;
}

/** Options of `adagrad`. */
export interface AdagradOptions extends OptimizerOptions {
  /** What the sums of squares begin with, at least 0, default 0.1. */
  initialAccumulatorValue?: number;
  /** Added inside the root, at least 0, default 1e-7. */
  epsilon?: number;
}

/** Options of `adadelta`. */
export interface AdadeltaOptions extends OptimizerOptions {
  /** Decay of the averages, from 0 to 1, default 0.95. */
  rho?: number;
  /** Added inside both roots, at least 0, default 1e-7. */
  epsilon?: number;
}

/** Options of `adafactor`. */
export interface AdafactorOptions extends OptimizerOptions {
  /** In step t, from 1, the averages keep `1 - t^beta2Decay` of themselves; at most 0, default -0.8. */
  beta2Decay?: number;
  /** Added to squared gradients, at least 0, default 1e-30. */
  epsilon1?: number;
  /** The root mean square of a weight counts as at least this; at least 0, default 1e-3. */
  epsilon2?: number;
  /** Root mean square that a direction has at most, above 0, default 1. */
  clipThreshold?: number;
  /** Has no effect, as in Keras: the learning rate is `min(learningRate, 1 / sqrt(t))` either way. Default `true`. */
  relativeStep?: boolean;
}

/** Options of `lion`. */
export interface LionOptions extends OptimizerOptions {
  /** Share of the average in the direction of a step, above 0 and at most 1, default 0.9. */
  beta1?: number;
  /** Decay of the average of gradients, from 0 to 1, default 0.99. */
  beta2?: number;
}

/** Options of `ftrl`. */
export interface FtrlOptions extends OptimizerOptions {
  /** Power of the sums of squares in the learning rate, at most 0, default -0.5. */
  learningRatePower?: number;
  /** What the sums of squares begin with, at least 0, default 0.1. */
  initialAccumulatorValue?: number;
  /** Factor of a penalty on absolute values, at least 0, default 0. */
  l1RegularizationStrength?: number;
  /** Factor of a penalty on squares, at least 0, default 0. */
  l2RegularizationStrength?: number;
  /** Factor of a penalty on squares that the sums of squares do not see; at least 0, default 0. */
  l2ShrinkageRegularizationStrength?: number;
  /** At least 0, default 0. */
  beta?: number;
}
