/** What the recurrent layers have in common. */
import { OptionError } from "../errors.ts";
import type { LayerOptionsDocument } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import { checkElementwiseActivation, type ElementwiseActivationName } from "./activation-name.ts";
import { commonOptions, Layer, type LayerOptions, type LayerSetup } from "./layer.ts";
import { providersOf } from "./providers.ts";
import { type BiasRules, type KernelRules, type RecurrentRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["kernel", "recurrent", "bias"];

/** Options that all recurrent layers have. */
export interface RecurrentOptions extends LayerOptions, KernelRules, RecurrentRules, BiasRules {
  /** Features of the output and of each state, at least 1. */
  units: number;
  /** Activation of the candidate and the output, default `"tanh"`. */
  activation?: ElementwiseActivationName;
  /** Default `true`. */
  useBias?: boolean;
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
  /** The call gives a list of the output and the last states instead of the output; default `false`. */
  returnState?: boolean;
  /** Time runs from the end, and so does the output; default `false`. */
  goBackwards?: boolean;
  /** Masked steps give zeros instead of the output before; default `false`. */
  zeroOutputForMask?: boolean;
  /**
   * Row N of a batch goes on with the states that row N of the batch before ended with, through which no gradient flows; default
   * `false`. Batches then have one size. `Model.resetStates` makes states zeros again, and so do `fit` at the start of each epoch,
   * `evaluate` at its start, and both at their end. The states belong to the model, not to the layer. Takes no `initialState`.
   */
  stateful?: boolean;
}

/** Options of a recurrent layer with gates. */
export interface GatedOptions extends RecurrentOptions {
  /** Activation of the gates, default `"sigmoid"`. */
  recurrentActivation?: ElementwiseActivationName;
}

const names = [
  ...commonOptions,
  "units",
  "activation",
  "useBias",
  "kernelInitializer",
  "recurrentInitializer",
  "biasInitializer",
  "dropout",
  "recurrentDropout",
  "returnSequences",
  "returnState",
  "goBackwards",
  "zeroOutputForMask",
  "stateful",
];

/** Layers whose call takes a sequence and, as an option, states. */
export abstract class SequenceLayer extends Layer {
  /** Names of the states, for messages. */
  abstract readonly states: readonly string[];
  /** Whether the call gives a list. */
  abstract readonly givesList: boolean;

  call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
    const [x, options = {}, ...more] = inputs;
    const where = `layer ${this.name}`;
    if (more.length > 0)
      throw new OptionError(`${where}: expected a tensor and options, got ${inputs.length} arguments`);
    checkKeys(where, options, ["initialState"]);
    const { initialState: state = [] } = options as { initialState?: unknown };
    const { states } = this;
    if (!Array.isArray(state) || (state.length !== states.length && "initialState" in (options as object))) {
      const got = Array.isArray(state) ? `a list of ${state.length}` : typeof state;
      const tensors = `${states.length} tensor${states.length === 1 ? "" : "s"} [${states.join(", ")}]`;
      throw new OptionError(`${where}: initialState must be a list of ${tensors}, got ${got}`);
    }
    const outputs = this.apply([x, ...state]);
    return this.givesList ? [...outputs] : outputs[0]!;
  }
}

/** An LSTM, a GRU or a simple RNN. */
export class Recurrent extends SequenceLayer {
  readonly states: readonly string[];

  constructor(setup: LayerSetup, states: readonly string[]) {
    super(setup);
    this.states = states;
  }

  get givesList(): boolean {
    return this.options.returnState === true;
  }
}

/** Options of a kind of layer besides those that all have; resolved. */
interface OwnOptions {
  readonly [name: string]: boolean | string;
}

/**
 * Makes a recurrent layer.
 *
 * @param type - Its type in the graph document.
 * @param states - Names of its states.
 * @param options - Options of the caller.
 * @param own - Options that only this kind has, resolved.
 * @throws OptionError if an option is unknown or out of range.
 */
export function recurrent(
  type: string,
  states: readonly string[],
  options: RecurrentOptions,
  own: OwnOptions,
): Recurrent {
  checkKeys(type, options, [...names, ...weightRuleNames(weights), ...Object.keys(own)]);
  const initializer = (
    option: "kernelInitializer" | "recurrentInitializer" | "biasInitializer",
    name: InitializerName,
  ) => resolveInitializer(type, option, options[option] ?? name);
  const kernel = initializer("kernelInitializer", "glorotUniform");
  const recurrentKernel = initializer("recurrentInitializer", "orthogonal");
  const bias = initializer("biasInitializer", "zeros");
  const flag = (option: Flag, standard: boolean) => booleanOption(type, option, options[option] ?? standard);
  const resolved: LayerOptionsDocument = {
    units: integerOption(type, "units", options.units, 1),
    activation: checkElementwiseActivation(type, "activation", options.activation ?? "tanh"),
    useBias: flag("useBias", true),
    kernelInitializer: kernel.document,
    recurrentInitializer: recurrentKernel.document,
    biasInitializer: bias.document,
    dropout: rate(type, "dropout", options.dropout),
    recurrentDropout: rate(type, "recurrentDropout", options.recurrentDropout),
    returnSequences: flag("returnSequences", false),
    returnState: flag("returnState", false),
    goBackwards: flag("goBackwards", false),
    zeroOutputForMask: flag("zeroOutputForMask", false),
    ...(flag("stateful", false) ? { stateful: true } : {}),
    ...weightRules(type, options, weights),
    ...own,
  };
  const providers = providersOf({ kernel, recurrentKernel, bias });
  return new Recurrent({ type, common: options, options: resolved, providers }, states);
}

type Flag = "useBias" | "returnSequences" | "returnState" | "goBackwards" | "zeroOutputForMask" | "stateful";

/** The activation of the gates, resolved. */
export function gateActivation(type: string, options: GatedOptions): ElementwiseActivationName {
  return checkElementwiseActivation(type, "recurrentActivation", options.recurrentActivation ?? "sigmoid");
}

function rate(type: string, option: string, value: number | undefined): number {
  const checked = numberOption(type, option, value ?? 0, 0, 1);
  if (checked === 1) throw new OptionError(`${type}: ${option} must be below 1, got 1`);
  return checked;
}
