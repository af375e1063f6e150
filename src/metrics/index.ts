/** Factory functions of metrics. */
import { CustomLoss, type CustomOptions, type LossFunction } from "../losses/custom.ts";

/**
 * An own metric, with options: the mean of what the function gives. `compile` takes the function alone too.
 *
 * @param body - Makes values of targets and output; layers without weights can be called in it.
 * @param options - What targets are, and its name.
 * @throws OptionError if an option is unknown or wrong.
 */
export function custom(body: LossFunction, options: CustomOptions = {}): CustomLoss {
  return new CustomLoss("metrics.custom", body, options);
}

export {
  accuracy,
  binaryAccuracy,
  categoricalAccuracy,
  perplexity,
  precision,
  recall,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
} from "./accuracy.ts";
export {
  binaryCrossentropy,
  categoricalCrossentropy,
  categoricalHinge,
  cosineSimilarity,
  hinge,
  klDivergence,
  logCosh,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  meanSquaredLogarithmicError,
  poisson,
  rootMeanSquaredError,
  sparseCategoricalCrossentropy,
  squaredHinge,
} from "./losses.ts";
