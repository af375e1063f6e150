/** Factory functions of metrics. */
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
