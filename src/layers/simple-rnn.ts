import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Layer } from "./layer.ts";
import { type RecurrentOptions, recurrent } from "./recurrent.ts";

/** Options of {@link simpleRnn}. */
export type SimpleRnnOptions = RecurrentOptions;

/** The output of a simple RNN and its state `h` after the last step. */
export type SimpleRnnOutputs = [output: SymbolicTensor, h: SymbolicTensor];

/** Options of a call of a simple RNN. */
export interface SimpleRnnCallOptions {
  /** State `h` before the first step, `[batch, units]`, in a list; default zeros. */
  initialState?: readonly [h: SymbolicTensor];
}

/** A layer of {@link simpleRnn} without `returnState`. */
export interface SimpleRnnLayer extends Layer {
  readonly type: "simpleRnn";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial state.
   * @returns `[batch, units]`, or `[batch, time, units]` with `returnSequences`.
   */
  (x: SymbolicTensor, options?: SimpleRnnCallOptions): SymbolicTensor;
}

/** A layer of {@link simpleRnn} with `returnState: true`. */
export interface SimpleRnnStateLayer extends Layer {
  readonly type: "simpleRnn";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial state.
   * @returns The output as of {@link SimpleRnnLayer}, then `h`, `[batch, units]`.
   */
  (x: SymbolicTensor, options?: SimpleRnnCallOptions): SimpleRnnOutputs;
}

/** A layer of {@link simpleRnn} of which the types do not say whether it has `returnState`. */
export interface SimpleRnnUnionLayer extends Layer {
  readonly type: "simpleRnn";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial state.
   * @returns The output, or the output and the state.
   */
  (x: SymbolicTensor, options?: SimpleRnnCallOptions): SymbolicTensor | SimpleRnnOutputs;
}

/**
 * A recurrent layer without gates over a sequence: `h = activation(x W + b + h U)`.
 *
 * A masked step keeps the state and repeats the output before. Unlike in Keras, an initial state does not make it lose the
 * mask of its input.
 *
 * @param options - Units and the rest.
 * @returns A layer from `[batch, time, features]` to `[batch, units]` or `[batch, time, units]`, with weights
 * `kernel [features, units]`, `recurrentKernel [units, units]` and `bias [units]`.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.SimpleRNN`
 */
export function simpleRnn(options: SimpleRnnOptions & { returnState: true }): SimpleRnnStateLayer;
export function simpleRnn(options: SimpleRnnOptions & { returnState?: false }): SimpleRnnLayer;
export function simpleRnn(options: SimpleRnnOptions): SimpleRnnUnionLayer;
export function simpleRnn(options: SimpleRnnOptions): SimpleRnnUnionLayer {
  const layer = recurrent("simpleRnn", ["h"], options, {});
  return layer as unknown as SimpleRnnUnionLayer;
}
