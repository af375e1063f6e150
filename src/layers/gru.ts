import type { SymbolicTensor } from "../graph/tensor.ts";
import { booleanOption } from "../options.ts";
import type { Layer } from "./layer.ts";
import { type GatedOptions, gateActivation, recurrent } from "./recurrent.ts";

/** Options of {@link gru}. */
export interface GruOptions extends GatedOptions {
  /** The reset gate is applied after the recurrent product of the candidate instead of before it; default `true`. */
  resetAfter?: boolean;
}

/** The output of a GRU and its state `h` after the last step. */
export type GruOutputs = [output: SymbolicTensor, h: SymbolicTensor];

/** Options of a call of a GRU. */
export interface GruCallOptions {
  /** State `h` before the first step, `[batch, units]`, in a list; default zeros. */
  initialState?: readonly [h: SymbolicTensor];
}

/** A layer of {@link gru} without `returnState`. */
export interface GruLayer extends Layer {
  readonly type: "gru";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial state.
   * @returns `[batch, units]`, or `[batch, time, units]` with `returnSequences`.
   */
  (x: SymbolicTensor, options?: GruCallOptions): SymbolicTensor;
}

/** A layer of {@link gru} with `returnState: true`. */
export interface GruStateLayer extends Layer {
  readonly type: "gru";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial state.
   * @returns The output as of {@link GruLayer}, then `h`, `[batch, units]`.
   */
  (x: SymbolicTensor, options?: GruCallOptions): GruOutputs;
}

/** A layer of {@link gru} of which the types do not say whether it has `returnState`. */
export interface GruUnionLayer extends Layer {
  readonly type: "gru";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial state.
   * @returns The output, or the output and the state.
   */
  (x: SymbolicTensor, options?: GruCallOptions): SymbolicTensor | GruOutputs;
}

/**
 * A gated recurrent unit over a sequence: `z, r = recurrentActivation(x W + b + h U + c)`, `h = z h + (1 - z) g` with
 * `g = activation(x W + b + r (h U + c))`, or `g = activation(x W + b + (r h) U)` without `resetAfter`.
 *
 * A masked step keeps the state and repeats the output before. Unlike in Keras, an initial state does not make it lose the
 * mask of its input.
 *
 * @param options - Units and the rest.
 * @returns A layer from `[batch, time, features]` to `[batch, units]` or `[batch, time, units]`, with weights
 * `kernel [features, 3 units]`, `recurrentKernel [units, 3 units]` and `bias [2, 3 units]` (`[3 units]` without
 * `resetAfter`), gates in the order z, r, g.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.GRU`
 */
export function gru(options: GruOptions & { returnState: true }): GruStateLayer;
export function gru(options: GruOptions & { returnState?: false }): GruLayer;
export function gru(options: GruOptions): GruUnionLayer;
export function gru(options: GruOptions): GruUnionLayer {
  const layer = recurrent("gru", ["h"], options, {
    recurrentActivation: gateActivation("gru", options),
    resetAfter: booleanOption("gru", "resetAfter", options.resetAfter ?? true),
  });
  return layer as unknown as GruUnionLayer;
}
