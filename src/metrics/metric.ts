import { checkKeys, nameOption, numberOption } from "../options.ts";
import type { MetricReading } from "../training/trainable.ts";

/** Metrics with their default options. */
export type MetricName =
  | "accuracy"
  | "categoricalAccuracy"
  | "sparseCategoricalAccuracy"
  | "binaryAccuracy"
  | "perplexity";

/** A metric as the addon takes it. */
export interface MetricDocument {
  readonly type: MetricName;
  readonly threshold?: number;
}

/** A number that is reported beside the loss. Made by the functions in `metrics`. */
export class Metric implements MetricReading {
  /** @internal */
  readonly document: MetricDocument;

  /** @internal */
  constructor(document: MetricDocument) {
    this.document = Object.freeze(document);
  }

  /** Its name in histories and logs, such as `"accuracy"`. */
  get name(): MetricName {
    return this.document.type;
  }

  /**
   * The value of the metric.
   *
   * @param total - Sum over the entries that count: of their weights where they are right, or of their cross-entropies.
   * @param count - Sum of the weights of these entries.
   * @returns `total / count`, or `exp(total / count)` for the perplexity; 0 if nothing counted.
   */
  read(total: number, count: number): number {
    if (count === 0) return 0;
    return this.document.type === "perplexity" ? Math.exp(total / count) : total / count;
  }
}

/** Options of {@link binaryAccuracy}. */
export interface BinaryAccuracyOptions {
  /** Outputs above it mean 1; default 0.5. */
  threshold?: number;
}

/**
 * Share of right predictions: {@link binaryAccuracy} for outputs with one class, {@link sparseCategoricalAccuracy} for
 * targets of ids, otherwise {@link categoricalAccuracy}; decided for each batch by its targets.
 */
export function accuracy(): Metric {
  return new Metric({ type: "accuracy" });
}

/** Share of positions where output and target are largest at the same class. */
export function categoricalAccuracy(): Metric {
  return new Metric({ type: "categoricalAccuracy" });
}

/** Share of positions where the output is largest at the id that is the target. */
export function sparseCategoricalAccuracy(): Metric {
  return new Metric({ type: "sparseCategoricalAccuracy" });
}

/**
 * Share of elements where the output, compared with a threshold, is the target.
 *
 * @param options - The threshold.
 * @throws OptionError if an option is unknown or out of range.
 */
export function binaryAccuracy(options: BinaryAccuracyOptions = {}): Metric {
  checkKeys("binaryAccuracy", options, ["threshold"]);
  return new Metric({
    type: "binaryAccuracy",
    threshold: numberOption("binaryAccuracy", "threshold", options.threshold ?? 0.5),
  });
}

/** `exp` of the mean cross-entropy per position; unlike the loss it is not smoothed. */
export function perplexity(): Metric {
  return new Metric({ type: "perplexity" });
}

const factories: Readonly<Record<MetricName, () => Metric>> = {
  accuracy,
  categoricalAccuracy,
  sparseCategoricalAccuracy,
  binaryAccuracy,
  perplexity,
};
const names = Object.keys(factories) as MetricName[];

/** The metric that an option means. */
export function resolveMetric(where: string, value: unknown): Metric {
  if (value instanceof Metric) return value;
  return factories[nameOption(where, "metrics", value, names)]();
}

/**
 * The metric of a saved document.
 *
 * @throws OptionError if a field is unknown or out of range.
 */
export function restoreMetric(document: unknown): Metric {
  checkKeys("metric", document, ["type", "threshold"]);
  const { type, threshold } = document as { type?: unknown; threshold?: number };
  const name = nameOption("metric", "type", type, names);
  return name === "binaryAccuracy" ? binaryAccuracy(threshold === undefined ? {} : { threshold }) : factories[name]();
}
