/** Factory functions of losses. */
import { CustomLoss, type CustomOptions, type LossFunction } from "./custom.ts";

/**
 * An own loss, with options. `compile` takes the function alone too.
 *
 * @param body - Makes losses of targets and output; layers without weights can be called in it.
 * @param options - What targets are.
 * @throws OptionError if an option is unknown or wrong.
 */
export function custom(body: LossFunction, options: CustomOptions = {}): CustomLoss {
  return new CustomLoss("losses.custom", body, options);
}

export { binaryCrossentropy, categoricalCrossentropy, sparseCategoricalCrossentropy } from "./cross-entropy.ts";
export {
  categoricalHinge,
  cosineSimilarity,
  hinge,
  huber,
  klDivergence,
  logCosh,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  meanSquaredLogarithmicError,
  poisson,
  squaredHinge,
} from "./elements.ts";
