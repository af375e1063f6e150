import { booleanOption, checkKeys, integerOption, nameOption, numberOption } from "../options.ts";

/** A loss as the addon takes it. */
export interface LossDocument {
  readonly type: "categoricalCrossentropy" | "sparseCategoricalCrossentropy";
  readonly fromLogits: boolean;
  readonly labelSmoothing: number;
  readonly ignoreClass: number | null;
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
  get type(): LossName {
    return this.document.type;
  }
}

/** Losses with their default options. */
export type LossName = "categoricalCrossentropy" | "sparseCategoricalCrossentropy";

/** Options of {@link categoricalCrossentropy}. */
export interface CategoricalCrossentropyOptions {
  /** The output holds logits instead of probabilities; default `false`. */
  fromLogits?: boolean;
  /** `e` in the smoothed targets `y (1 - e) + e / classes`, from 0 to 1; default 0. */
  labelSmoothing?: number;
}

/** Options of {@link sparseCategoricalCrossentropy}. */
export interface SparseCategoricalCrossentropyOptions {
  /** The output holds logits instead of probabilities; default `false`. */
  fromLogits?: boolean;
  /** Positions with this id as target do not count; default none. */
  ignoreClass?: number;
}

/**
 * Cross-entropy `-sum_k y_k log p_k` for targets of probabilities, or of ids (which are taken for one-hot rows); the mean
 * over all positions that no mask leaves out.
 *
 * Probabilities are divided by their sum and clipped to `1e-7..1 - 1e-7`, as in Keras; a softmax that is the activation of
 * the last layer is computed from its logits instead, without clipping.
 *
 * @param options - Kind of output and smoothing.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.losses.CategoricalCrossentropy`
 */
export function categoricalCrossentropy(options: CategoricalCrossentropyOptions = {}): Loss {
  const where = "categoricalCrossentropy";
  checkKeys(where, options, ["fromLogits", "labelSmoothing"]);
  return new Loss({
    type: "categoricalCrossentropy",
    fromLogits: booleanOption(where, "fromLogits", options.fromLogits ?? false),
    labelSmoothing: numberOption(where, "labelSmoothing", options.labelSmoothing ?? 0, 0, 1),
    ignoreClass: null,
  });
}

/**
 * Cross-entropy `-log p_y` for targets of ids; the mean over all positions that no mask leaves out.
 *
 * @param options - Kind of output and the ignored id.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.losses.SparseCategoricalCrossentropy`
 */
export function sparseCategoricalCrossentropy(options: SparseCategoricalCrossentropyOptions = {}): Loss {
  const where = "sparseCategoricalCrossentropy";
  checkKeys(where, options, ["fromLogits", "ignoreClass"]);
  const { ignoreClass } = options;
  return new Loss({
    type: "sparseCategoricalCrossentropy",
    fromLogits: booleanOption(where, "fromLogits", options.fromLogits ?? false),
    labelSmoothing: 0,
    ignoreClass: ignoreClass === undefined ? null : integerOption(where, "ignoreClass", ignoreClass, -(2 ** 31)),
  });
}

const factories: Readonly<Record<LossName, () => Loss>> = { categoricalCrossentropy, sparseCategoricalCrossentropy };
const names = Object.keys(factories) as LossName[];

/** The loss that an option means. */
export function resolveLoss(where: string, value: unknown): Loss {
  if (value instanceof Loss) return value;
  return factories[nameOption(where, "loss", value, names)]();
}

/**
 * The loss of a saved document.
 *
 * @throws OptionError if a field is unknown or out of range.
 */
export function restoreLoss(document: unknown): Loss {
  checkKeys("loss", document, ["type", "fromLogits", "labelSmoothing", "ignoreClass"]);
  const { type, fromLogits, labelSmoothing, ignoreClass } = document as Readonly<Record<string, unknown>>;
  const logits = { fromLogits: fromLogits as boolean };
  if (nameOption("loss", "type", type, names) === "categoricalCrossentropy") {
    return categoricalCrossentropy({ ...logits, labelSmoothing: labelSmoothing as number });
  }
  return sparseCategoricalCrossentropy({
    ...logits,
    ...(ignoreClass === null ? {} : { ignoreClass: ignoreClass as number }),
  });
}
