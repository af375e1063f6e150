import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import { type LabelSmoothing, smoothingFields } from "./label-smoothing.ts";
import { Loss } from "./loss.ts";

/** Options of {@link categoricalCrossentropy}. */
export interface CategoricalCrossentropyOptions {
  /** The output holds logits instead of probabilities; default `false`. */
  fromLogits?: boolean;
  /**
   * `e` in the smoothed targets `y (1 - e) + e / classes`, from 0 to 1, or `{ value, definition }` for another definition; default 0.
   */
  labelSmoothing?: LabelSmoothing;
}

/** Options of {@link sparseCategoricalCrossentropy}. */
export interface SparseCategoricalCrossentropyOptions {
  /** The output holds logits instead of probabilities; default `false`. */
  fromLogits?: boolean;
  /** Positions with this id as target do not count; default none. */
  ignoreClass?: number;
}

/** Options of {@link binaryCrossentropy}. */
export interface BinaryCrossentropyOptions {
  /** The output holds logits instead of probabilities; default `false`. */
  fromLogits?: boolean;
  /** `e` in the smoothed targets `y (1 - e) + e / 2`, from 0 to 1; default 0. */
  labelSmoothing?: number;
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
    ...smoothingFields(where, options.labelSmoothing),
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

/**
 * Mean of `-y log p - (1 - y) log(1 - p)` over the elements of a position, each with a target from 0 to 1 of its own; then the
 * mean over all positions that no mask leaves out.
 *
 * Probabilities are clipped to `1e-7..1 - 1e-7`, as in Keras; a sigmoid that is the activation of the last layer is computed
 * from its logits instead, without clipping.
 *
 * @param options - Kind of output and smoothing.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.losses.BinaryCrossentropy`
 */
export function binaryCrossentropy(options: BinaryCrossentropyOptions = {}): Loss {
  const where = "binaryCrossentropy";
  checkKeys(where, options, ["fromLogits", "labelSmoothing"]);
  return new Loss({
    type: "binaryCrossentropy",
    fromLogits: booleanOption(where, "fromLogits", options.fromLogits ?? false),
    labelSmoothing: numberOption(where, "labelSmoothing", options.labelSmoothing ?? 0, 0, 1),
  });
}
