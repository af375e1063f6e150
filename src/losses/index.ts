/** Factory functions of losses. */
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
