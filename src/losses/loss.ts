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
  readonly type: LossType;
  readonly [option: string]: string | number | boolean | null;
}

/** What training makes small. Made by the functions in `losses`. */
export class Loss {
  /** @internal */
  readonly document: LossDocument;

  /** @internal */
  constructor(document: LossDocument) {
    this.document = Object.freeze(document);
  }

  /** What kind of loss it is, such as `"categoricalCrossentropy"`. */
  get type(): LossType {
    return this.document.type;
  }
}
