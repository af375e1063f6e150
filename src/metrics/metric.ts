import type { GraphDocument } from "../graph/document.ts";
import type { LossType } from "../losses/loss.ts";
import type { MetricReading } from "../training/trainable.ts";

/** Kinds of metrics. */
export type MetricType =
  | LossType
  | "accuracy"
  | "categoricalAccuracy"
  | "sparseCategoricalAccuracy"
  | "binaryAccuracy"
  | "topKCategoricalAccuracy"
  | "sparseTopKCategoricalAccuracy"
  | "precision"
  | "recall"
  | "perplexity"
  | "rootMeanSquaredError";

/** A metric as the addon takes it. */
export interface MetricDocument {
  /** `"graph"`: an own metric, whose graph is there too. */
  readonly type: MetricType | "graph";
  /** Its name in histories, if that is not the type. */
  readonly name?: string;
  readonly [option: string]: string | number | boolean | null | undefined | GraphDocument;
}

/** Options that every metric has. */
export interface MetricOptions {
  /** Its name in histories and logs; default the type. */
  name?: string;
}

/** A number that is reported beside the loss. Made by the functions in `metrics`. */
export class Metric implements MetricReading {
  /** @internal */
  readonly document: MetricDocument;

  /** @internal */
  constructor(document: MetricDocument) {
    this.document = Object.freeze(document);
  }

  /** What kind of metric it is, such as `"accuracy"`, or `"graph"` for an own one. */
  get type(): MetricType | "graph" {
    return this.document.type;
  }

  /** Its name in histories and logs, such as `"accuracy"`. */
  get name(): string {
    return this.document.name ?? this.document.type;
  }

  /**
   * The value of the metric.
   *
   * @param total - Sum over the entries that count: of their weights where they are right, or of their losses.
   * @param count - Sum of the weights of these entries.
   * @returns `total / count`, its exponential for the perplexity, its root for the root of the mean squared error; 0 if nothing
   *   counted.
   */
  read(total: number, count: number): number {
    if (count === 0) return 0;
    const { type } = this.document;
    if (type === "perplexity") return Math.exp(total / count);
    return type === "rootMeanSquaredError" ? Math.sqrt(total / count) : total / count;
  }
}
