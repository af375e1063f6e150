import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import { checkElementwiseActivation, type ElementwiseActivationName } from "./activation-name.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";
import { providersOf } from "./providers.ts";
import { type BiasRules, type KernelRules, type RecurrentRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["kernel", "recurrent", "bias"];

/** Options of {@link lstm}. */
export interface LstmOptions extends LayerOptions, KernelRules, RecurrentRules, BiasRules {
  /** Features of the output and of each state, at least 1. */
  units: number;
  /** Activation of the candidate and the output, default `"tanh"`. */
  activation?: ElementwiseActivationName;
  /** Activation of the gates, default `"sigmoid"`. */
  recurrentActivation?: ElementwiseActivationName;
  /** Default `true`. */
  useBias?: boolean;
  /** The bias of the forget gate begins at 1; default `true`. */
  unitForgetBias?: boolean;
  /** Default `"glorotUniform"`. */
  kernelInitializer?: InitializerName | Initializer;
  /** Default `"orthogonal"`. */
  recurrentInitializer?: InitializerName | Initializer;
  /** Default `"zeros"`. */
  biasInitializer?: InitializerName | Initializer;
  /** Share of the inputs that become 0 in training, one choice for a whole sequence; from 0 to below 1, default 0. */
  dropout?: number;
  /** Share of the state that becomes 0 in training, one choice for a whole sequence; from 0 to below 1, default 0. */
  recurrentDropout?: number;
  /** The output has all steps instead of the last; default `false`. */
  returnSequences?: boolean;
  /** The call gives `[output, h, c]` instead of the output; default `false`. */
  returnState?: boolean;
  /** Time runs from the end, and so does the output; default `false`. */
  goBackwards?: boolean;
  /** Masked steps give zeros instead of the output before; default `false`. */
  zeroOutputForMask?: boolean;
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
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial states.
   * @returns `[batch, units]`, or `[batch, time, units]` with `returnSequences`.
   */
  (x: SymbolicTensor, options?: LstmCallOptions): SymbolicTensor;
}

/** An LSTM with `returnState: true`. */
export interface LstmStateLayer extends Layer {
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial states.
   * @returns The output as of {@link LstmLayer}, then `h` and `c`, each `[batch, units]`.
   */
  (x: SymbolicTensor, options?: LstmCallOptions): LstmOutputs;
}

/** An LSTM of which the types do not say whether it has `returnState`. */
export interface LstmUnionLayer extends Layer {
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial states.
   * @returns The output, or the output and both states.
   */
  (x: SymbolicTensor, options?: LstmCallOptions): SymbolicTensor | LstmOutputs;
}

class Lstm extends Layer {
  call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
    const [x, options = {}, ...more] = inputs;
    const where = `layer ${this.name}`;
    if (more.length > 0)
      throw new OptionError(`${where}: expected a tensor and options, got ${inputs.length} arguments`);
    checkKeys(where, options, ["initialState"]);
    const { initialState: state = [] } = options as { initialState?: unknown };
    if (!Array.isArray(state) || (state.length !== 2 && "initialState" in (options as object))) {
      const got = Array.isArray(state) ? `a list of ${state.length}` : typeof state;
      throw new OptionError(`${where}: initialState must be a list of 2 tensors [h, c], got ${got}`);
    }
    const outputs = this.apply([x, ...state]);
    return this.options.returnState === true ? [...outputs] : outputs[0]!;
  }
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
  checkKeys("lstm", options, [...commonOptions, ...names, ...weightRuleNames(weights)]);
  const initializer = (
    option: "kernelInitializer" | "recurrentInitializer" | "biasInitializer",
    name: InitializerName,
  ) => resolveInitializer("lstm", option, options[option] ?? name);
  const kernel = initializer("kernelInitializer", "glorotUniform");
  const recurrentKernel = initializer("recurrentInitializer", "orthogonal");
  const bias = initializer("biasInitializer", "zeros");
  const flag = (option: Flag, standard: boolean) => booleanOption("lstm", option, options[option] ?? standard);
  return new Lstm({
    type: "lstm",
    common: options,
    options: {
      units: integerOption("lstm", "units", options.units, 1),
      activation: checkElementwiseActivation("lstm", "activation", options.activation ?? "tanh"),
      recurrentActivation: checkElementwiseActivation(
        "lstm",
        "recurrentActivation",
        options.recurrentActivation ?? "sigmoid",
      ),
      useBias: flag("useBias", true),
      unitForgetBias: flag("unitForgetBias", true),
      kernelInitializer: kernel.document,
      recurrentInitializer: recurrentKernel.document,
      biasInitializer: bias.document,
      dropout: rate("dropout", options.dropout),
      recurrentDropout: rate("recurrentDropout", options.recurrentDropout),
      returnSequences: flag("returnSequences", false),
      returnState: flag("returnState", false),
      goBackwards: flag("goBackwards", false),
      zeroOutputForMask: flag("zeroOutputForMask", false),
      ...weightRules("lstm", options, weights),
    },
    providers: providersOf({ kernel, recurrentKernel, bias }),
  }) as unknown as LstmUnionLayer;
}

type Flag = "useBias" | "unitForgetBias" | "returnSequences" | "returnState" | "goBackwards" | "zeroOutputForMask";

const names = [
  "units",
  "activation",
  "recurrentActivation",
  "useBias",
  "unitForgetBias",
  "kernelInitializer",
  "recurrentInitializer",
  "biasInitializer",
  "dropout",
  "recurrentDropout",
  "returnSequences",
  "returnState",
  "goBackwards",
  "zeroOutputForMask",
];

function rate(option: string, value: number | undefined): number {
  const checked = numberOption("lstm", option, value ?? 0, 0, 1);
  if (checked === 1) throw new OptionError(`lstm: ${option} must be below 1, got 1`);
  return checked;
}
