import type { GraphDocument } from "../graph/document.ts";

/** Kinds of losses. */
export type LossType =
  | "categoricalCrossentropy"
  | "sparseCategoricalCrossentropy"
  | "binaryCrossentropy"
  | "meanSquaredError"
  | "meanAbsoluteError"
  | "meanAbsolutePercentageError"
  | "meanSquaredLogarithmicError"
  | "huber"
  | "logCosh"
  | "poisson"
  | "hinge"
  | "squaredHinge"
  | "categoricalHinge"
  | "klDivergence"
  | "cosineSimilarity";

/** A loss as the addon takes it. */
export interface LossDocument {
  /** `"graph"`: an own loss, whose graph is there too. */
  readonly type: LossType | "graph";
  readonly [option: string]: string | number | boolean | null | GraphDocument;
}

/** What training makes small. Made by the functions in `losses`. */
export class Loss {
  /** @internal */
  readonly document: LossDocument;

  /** @internal */
  constructor(document: LossDocument) {
    this.document = Object.freeze(document);
  }

  /** What kind of loss it is, such as `"categoricalCrossentropy"`, or `"graph"` for an own one. */
  get type(): LossType | "graph" {
    return this.document.type;
  }
}
