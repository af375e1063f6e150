import type { SymbolicTensor } from "../graph/tensor.ts";
import { booleanOption } from "../options.ts";
import type { Layer } from "./layer.ts";
import { type GatedOptions, gateActivation, recurrent } from "./recurrent.ts";

/** Options of {@link lstm}. */
export interface LstmOptions extends GatedOptions {
  /** The bias of the forget gate begins at 1; default `true`. */
  unitForgetBias?: boolean;
}

/** The output of an LSTM and its states `h` and `c` after the last step. */
export type LstmOutputs = [output: SymbolicTensor, h: SymbolicTensor, c: SymbolicTensor];

/** Options of a call of an LSTM. */
export interface LstmCallOptions {
  /** States `h` and `c` before the first step, each `[batch, units]`; default zeros. */
  initialState?: readonly [h: SymbolicTensor, c: SymbolicTensor];
}

/** An LSTM without `returnState`. */
export interface LstmLayer extends Layer {
  readonly type: "lstm";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial states.
   * @returns `[batch, units]`, or `[batch, time, units]` with `returnSequences`.
   */
  (x: SymbolicTensor, options?: LstmCallOptions): SymbolicTensor;
}

/** An LSTM with `returnState: true`. */
export interface LstmStateLayer extends Layer {
  readonly type: "lstm";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial states.
   * @returns The output as of {@link LstmLayer}, then `h` and `c`, each `[batch, units]`.
   */
  (x: SymbolicTensor, options?: LstmCallOptions): LstmOutputs;
}

/** An LSTM of which the types do not say whether it has `returnState`. */
export interface LstmUnionLayer extends Layer {
  readonly type: "lstm";
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial states.
   * @returns The output, or the output and both states.
   */
  (x: SymbolicTensor, options?: LstmCallOptions): SymbolicTensor | LstmOutputs;
}

/**
 * A long short-term memory over a sequence:
 * `i, f, o = recurrentActivation(x W + h U + b)`, `c = f c + i activation(x W + h U + b)`, `h = o activation(c)`.
 *
 * A masked step keeps the states and repeats the output before. Unlike in Keras, initial states do not make it lose the
 * mask of its input.
 *
 * @param options - Units and the rest.
 * @returns A layer from `[batch, time, features]` to `[batch, units]` or `[batch, time, units]`, with weights
 * `kernel [features, 4 units]`, `recurrentKernel [units, 4 units]` and `bias [4 units]`, gates in the order i, f, c, o.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.LSTM`
 */
export function lstm(options: LstmOptions & { returnState: true }): LstmStateLayer;
export function lstm(options: LstmOptions & { returnState?: false }): LstmLayer;
export function lstm(options: LstmOptions): LstmUnionLayer;
export function lstm(options: LstmOptions): LstmUnionLayer {
  const layer = recurrent("lstm", ["h", "c"], options, {
    recurrentActivation: gateActivation("lstm", options),
    unitForgetBias: booleanOption("lstm", "unitForgetBias", options.unitForgetBias ?? true),
  });
  return layer as unknown as LstmUnionLayer;
}
