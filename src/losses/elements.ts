/**
 * Losses with a target for each element. `x` is the output, `y` the target; "mean" is the mean over the last axis of a position.
 * The loss of a batch is the mean over all positions that no mask leaves out, each times its sample weight.
 */
import { OptionError } from "../errors.ts";
import { checkKeys, numberOption } from "../options.ts";
import { Loss } from "./loss.ts";

/** Options of {@link huber}. */
export interface HuberOptions {
  /** Errors from which on the loss grows by a line, above 0; default 1. */
  delta?: number;
}

/**
 * Mean of `(x - y)^2`; also called `"mse"`.
 *
 * @see `keras.losses.MeanSquaredError`
 */
export function meanSquaredError(): Loss {
  return new Loss({ type: "meanSquaredError" });
}

/**
 * Mean of `|x - y|`; also called `"mae"`.
 *
 * @see `keras.losses.MeanAbsoluteError`
 */
export function meanAbsoluteError(): Loss {
  return new Loss({ type: "meanAbsoluteError" });
}

/**
 * 100 times the mean of `|x - y| / max(|y|, 1e-7)`; also called `"mape"`.
 *
 * @see `keras.losses.MeanAbsolutePercentageError`
 */
export function meanAbsolutePercentageError(): Loss {
  return new Loss({ type: "meanAbsolutePercentageError" });
}

/**
 * Mean of `(log(1 + x) - log(1 + y))^2`, with `x` and `y` at least 1e-7; also called `"msle"`.
 *
 * @see `keras.losses.MeanSquaredLogarithmicError`
 */
export function meanSquaredLogarithmicError(): Loss {
  return new Loss({ type: "meanSquaredLogarithmicError" });
}

/**
 * Mean of `(x - y)^2 / 2` where `|x - y| <= delta`, of `delta |x - y| - delta^2 / 2` elsewhere.
 *
 * @param options - Where the parabola becomes a line.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.losses.Huber`
 */
export function huber(options: HuberOptions = {}): Loss {
  checkKeys("huber", options, ["delta"]);
  const delta = numberOption("huber", "delta", options.delta ?? 1);
  if (delta <= 0) throw new OptionError(`huber: delta must be above 0, got ${delta}`);
  return new Loss({ type: "huber", delta });
}

/**
 * Mean of `log(cosh(x - y))`.
 *
 * @see `keras.losses.LogCosh`
 */
export function logCosh(): Loss {
  return new Loss({ type: "logCosh" });
}

/**
 * Mean of `x - y log(x + 1e-7)`.
 *
 * @see `keras.losses.Poisson`
 */
export function poisson(): Loss {
  return new Loss({ type: "poisson" });
}

/**
 * Mean of `max(1 - y x, 0)` for targets of -1 and 1; targets of 0 and 1 mean -1 and 1 if a batch holds nothing else.
 *
 * @see `keras.losses.Hinge`
 */
export function hinge(): Loss {
  return new Loss({ type: "hinge" });
}

/**
 * Mean of `max(1 - y x, 0)^2` for targets of -1 and 1; targets of 0 and 1 mean -1 and 1 if a batch holds nothing else.
 *
 * @see `keras.losses.SquaredHinge`
 */
export function squaredHinge(): Loss {
  return new Loss({ type: "squaredHinge" });
}

/**
 * `max(max((1 - y) x) - sum(y x) + 1, 0)` for targets of one-hot rows.
 *
 * @see `keras.losses.CategoricalHinge`
 */
export function categoricalHinge(): Loss {
  return new Loss({ type: "categoricalHinge" });
}

/**
 * Kullback-Leibler divergence: the sum of `y log(y / x)`, with `x` and `y` clipped to `1e-7..1`; also called `"kld"`.
 *
 * @see `keras.losses.KLDivergence`
 */
export function klDivergence(): Loss {
  return new Loss({ type: "klDivergence" });
}

/**
 * Minus the cosine of the angle between `x` and `y`, from -1 (alike) to 1. The metric of this name is the cosine itself.
 *
 * @see `keras.losses.CosineSimilarity`
 */
export function cosineSimilarity(): Loss {
  return new Loss({ type: "cosineSimilarity" });
}
