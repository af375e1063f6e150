import { OptionError } from "../errors.ts";
import { belowOne, make } from "./make.ts";
import type { Optimizer } from "./optimizer.ts";
import type {
  AdadeltaOptions,
  AdafactorOptions,
  AdagradOptions,
  AdamOptions,
  BetasOptions,
  FtrlOptions,
  LionOptions,
  RmspropOptions,
  SgdOptions,
} from "./options.ts";

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

const betas = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };

/**
 * Adam: `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`,
 * `w -= learningRate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)`.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015); `keras.optimizers.Adam`
 */
export function adam(options: AdamOptions = {}): Optimizer {
  belowOne("adam", options);
  return make("adam", options, 0.001, { ...betas, amsgrad: false });
}

/**
 * {@link adam} with weight decay that does not pass through the averages.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019); `keras.optimizers.AdamW`
 */
export function adamw(options: AdamOptions = {}): Optimizer {
  belowOne("adamw", options);
  return make("adamw", options, 0.001, { ...betas, amsgrad: false, weightDecay: 0.004 });
}

/**
 * Adagrad: `a = a + g^2`, `w -= learningRate g / sqrt(a + epsilon)`.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning" (2011); `keras.optimizers.Adagrad`
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  return make("adagrad", options, 0.001, { initialAccumulatorValue: 0.1, epsilon: 1e-7 });
}

/**
 * Adadelta: `a = rho a + (1 - rho) g^2`, `x = g sqrt(d + epsilon) / sqrt(a + epsilon)`, `d = rho d + (1 - rho) x^2`,
 * `w -= learningRate x`. The paper has a learning rate of 1.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012); `keras.optimizers.Adadelta`
 */
export function adadelta(options: AdadeltaOptions = {}): Optimizer {
  return make("adadelta", options, 0.001, { rho: 0.95, epsilon: 1e-7 });
}

/**
 * Adamax: `m = beta1 m + (1 - beta1) g`, `u = max(beta2 u, |g|)`, `w -= learningRate m / ((1 - beta1^t) (u + epsilon))`.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Kingma and Ba (2015), section 7; `keras.optimizers.Adamax`
 */
export function adamax(options: BetasOptions = {}): Optimizer {
  belowOne("adamax", options);
  return make("adamax", options, 0.001, betas);
}

/**
 * Nadam: {@link adam} with Nesterov's momentum.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Dozat, "Incorporating Nesterov Momentum into Adam" (2016); `keras.optimizers.Nadam`
 */
export function nadam(options: BetasOptions = {}): Optimizer {
  belowOne("nadam", options);
  return make("nadam", options, 0.001, betas);
}

/**
 * Adafactor: second moments of a matrix as the product of a column and a row of averages, so that state takes next to no
 * memory; steps are as large as the weights are.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (2018);
 * `keras.optimizers.Adafactor`
 */
export function adafactor(options: AdafactorOptions = {}): Optimizer {
  if (options.clipThreshold === 0) throw new OptionError("adafactor: clipThreshold must be above 0, got 0");
  return make("adafactor", options, 0.001, {
    beta2Decay: -0.8,
    epsilon1: 1e-30,
    epsilon2: 1e-3,
    clipThreshold: 1,
    relativeStep: true,
  });
}

/**
 * Lion: `w -= learningRate sign(beta1 m + (1 - beta1) g)`, `m = beta2 m + (1 - beta2) g`.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023); `keras.optimizers.Lion`
 */
export function lion(options: LionOptions = {}): Optimizer {
  if (options.beta1 === 0) throw new OptionError("lion: beta1 must be above 0 and at most 1, got 0");
  return make("lion", options, 0.001, { beta1: 0.9, beta2: 0.99 });
}

/**
 * "Follow the regularised leader": weights are made anew in each step of sums of gradients. A weight that never had a
 * gradient becomes 0.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see McMahan et al., "Ad Click Prediction: a View from the Trenches" (2013); `keras.optimizers.Ftrl`
 */
export function ftrl(options: FtrlOptions = {}): Optimizer {
  return make("ftrl", options, 0.001, {
    learningRatePower: -0.5,
    initialAccumulatorValue: 0.1,
    l1RegularizationStrength: 0,
    l2RegularizationStrength: 0,
    l2ShrinkageRegularizationStrength: 0,
    beta: 0,
  });
}

/**
 * LAMB: {@link adam} whose step for each weight is `learningRate` times as long as the weight.
 *
 * @param options - All optional.
 * @throws OptionError if an option is unknown or out of range.
 * @see You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (2020);
 * `keras.optimizers.Lamb`
 */
export function lamb(options: BetasOptions = {}): Optimizer {
  belowOne("lamb", options);
  return make("lamb", options, 0.001, betas);
}
