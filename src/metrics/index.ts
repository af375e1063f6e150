/** Factory functions of metrics. */
export { accuracy, binaryAccuracy, categoricalAccuracy, perplexity, sparseCategoricalAccuracy } from "./metric.ts";
