import { OptionError } from "../errors.ts";
import type { LayerOptionsDocument } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption, nameOption, numberOption } from "../options.ts";
import { commonOptions, Layer, type LayerOptions, type LayerSetup } from "./layer.ts";
import { type BiasRules, type KernelRules, type RecurrentRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const type = "attentionRnn";
const weights = ["kernel", "recurrent", "bias"];

/**
 * How a step of {@link layers.attentionRnn} looks at the memory `m`: `"dot"`, `"general"` and `"concat"` of Luong et al. 2015, or
 * `"bahdanau"` of Bahdanau et al. 2015.
 */
export type AttentionForm = "dot" | "general" | "concat" | "bahdanau";

/** Forms of attention within a recurrent layer. @internal */
export const attentionForms = ["dot", "general", "concat", "bahdanau"] as const satisfies readonly AttentionForm[];

/** Most cells of a layer. */
const maximumLayers = 64;

/** Options of {@link layers.attentionRnn}. */
export interface AttentionRnnOptions extends LayerOptions, KernelRules, RecurrentRules, BiasRules {
  /** What a step computes besides the attention; default `"lstm"`. */
  cell?: "lstm" | "gru";
  /** Features of the output and of each state, at least 1. */
  units: number;
  /**
   * Cells, each of which takes the output of the one before in the same step; the first is fed the output, and the last attends (Luong et
   * al. 2015, section 3.3). From 1 to 64, more than 1 only with `inputFeeding`; default 1.
   */
  layers?: number;
  /** How a step looks at the memory; default `"general"`. */
  attention?: AttentionForm;
  /** Hidden features of the scores of `"concat"` and `"bahdanau"`, at least 1; default `units`. Other forms have none. */
  attentionUnits?: number;
  /**
   * The output before goes into the cell beside the input, so that a step knows where the one before looked; not with `"bahdanau"`,
   * whose cell gets the context. Default `true`, with `"bahdanau"` `false`.
   */
  inputFeeding?: boolean;
  /** Whether the cell has a bias; default `true`. */
  useBias?: boolean;
  /**
   * Share of what goes into each cell, the context or output that is fed to it too, that becomes 0 in training, for all steps alike; from
   * 0 to below 1, default 0.
   */
  dropout?: number;
  /**
   * Share of the outputs of the cell that go into its next step that becomes 0 in training, for all steps alike; from 0 to below 1,
   * default 0. With it, each gate has a choice of its own, as in Keras. Queries of the attention are whole.
   */
  recurrentDropout?: number;
  /** The bias of the forget gate of an LSTM begins at 1; default `true`. */
  unitForgetBias?: boolean;
  /** The reset gate of a GRU is applied after the recurrent product of the candidate instead of before it; default `true`. */
  resetAfter?: boolean;
  /** How all weights but the recurrent kernel and the bias begin; default `"glorotUniform"`. */
  kernelInitializer?: InitializerName | Initializer;
  /** Default `"orthogonal"`. */
  recurrentInitializer?: InitializerName | Initializer;
  /** Default `"zeros"`. */
  biasInitializer?: InitializerName | Initializer;
  /** The output has all steps instead of the last; default `false`. */
  returnSequences?: boolean;
  /** The call gives a list of the output and the last states, and what else is asked for; default `false`. */
  returnState?: boolean;
  /** The last of what the call gives is which share of each context every step of the memory is; default `false`. */
  returnAttentionScores?: boolean;
}

/** Options of a call of a recurrent layer with attention. */
export interface AttentionRnnCallOptions {
  /**
   * States before the first step, each `[batch, units]`: `[h, c]` of an LSTM, `[h]` of a GRU, of more `layers` those of each, the first
   * one first; with `inputFeeding` the output before may follow. Default zeros.
   */
  initialState?: readonly SymbolicTensor[];
}

/** A layer of {@link layers.attentionRnn} that gives its output alone. */
export interface AttentionRnnLayer extends Layer {
  /**
   * @param x - `[batch, time, features]`
   * @param memory - What the steps look at, `[batch, sources, features]`; steps that its mask leaves out have no share.
   * @param options - Initial states.
   * @returns `[batch, units]`, or `[batch, time, units]` with `returnSequences`.
   */
  (x: SymbolicTensor, memory: SymbolicTensor, options?: AttentionRnnCallOptions): SymbolicTensor;
}

/** A layer of {@link layers.attentionRnn} that gives more than its output. */
export interface AttentionRnnListLayer extends Layer {
  /**
   * @param x - `[batch, time, features]`
   * @param memory - What the steps look at, `[batch, sources, features]`; steps that its mask leaves out have no share.
   * @param options - Initial states.
   * @returns The output, with `returnState` the states after the last step (h, c of an LSTM, of each cell, with `inputFeeding` the output), with
   * `returnAttentionScores` the shares `[batch, time, sources]`, through which no gradient goes.
   */
  (
    x: SymbolicTensor,
    memory: SymbolicTensor,
    options?: AttentionRnnCallOptions,
  ): [output: SymbolicTensor, ...more: SymbolicTensor[]];
}

/** A layer of {@link layers.attentionRnn} of which the types do not say what it gives. */
export interface AttentionRnnUnionLayer extends Layer {
  /**
   * @param x - `[batch, time, features]`
   * @param memory - What the steps look at, `[batch, sources, features]`; steps that its mask leaves out have no share.
   * @param options - Initial states.
   * @returns The output, or a list as of {@link AttentionRnnListLayer}.
   */
  (
    x: SymbolicTensor,
    memory: SymbolicTensor,
    options?: AttentionRnnCallOptions,
  ): SymbolicTensor | [output: SymbolicTensor, ...more: SymbolicTensor[]];
}

/** A recurrent layer with attention. @internal */
export class AttentionRnn extends Layer {
  call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
    const [x, memory, options = {}, ...more] = inputs;
    const where = `layer ${this.name}`;
    if (memory === undefined || more.length > 0) {
      throw new OptionError(`${where}: expected a sequence, a memory and options, got ${inputs.length} arguments`);
    }
    checkKeys(where, options, ["initialState"]);
    const { initialState: state = [] } = options as { initialState?: unknown };
    const { cell, layers: count = 1 } = this.options as { cell: string; layers?: number };
    const of = cell === "lstm" ? ["h", "c"] : ["h"];
    const names =
      count === 1 ? of : Array.from({ length: count }, (_, at) => of.map((name) => `${name}${at + 1}`)).flat();
    const most = this.options.inputFeeding === true ? names.length + 1 : names.length;
    const fits = Array.isArray(state) && (state.length === names.length || state.length === most);
    if (!fits && "initialState" in (options as object)) {
      const got = Array.isArray(state) ? `a list of ${state.length}` : typeof state;
      const expected = `[${names.join(", ")}]${most > names.length ? ` or [${names.join(", ")}, output]` : ""}`;
      throw new OptionError(`${where}: initialState must be a list of the tensors ${expected}, got ${got}`);
    }
    const outputs = this.apply([x, memory, ...(state as unknown[])]);
    const list = this.options.returnState === true || this.options.returnAttentionScores === true;
    return list ? [...outputs] : outputs[0]!;
  }
}

const names = [
  ...commonOptions,
  "cell",
  "units",
  "layers",
  "attention",
  "attentionUnits",
  "inputFeeding",
  "useBias",
  "dropout",
  "recurrentDropout",
  "unitForgetBias",
  "resetAfter",
  "kernelInitializer",
  "recurrentInitializer",
  "biasInitializer",
  "returnSequences",
  "returnState",
  "returnAttentionScores",
  ...weightRuleNames(weights),
];

/**
 * An LSTM or a GRU that attends at each step over the steps of another sequence, the memory: the decoder of Luong et al. 2015 or
 * Bahdanau et al. 2015, computed as one kernel.
 *
 * With `score(q, m)` = `q . m` (dot), `q . (m K)` (general) or `v . tanh(q Q + m K)` (concat, bahdanau), `w = softmax(score)` over
 * the steps of the memory that its mask keeps, and the context `c = sum w m`, a step computes
 * - `"bahdanau"`: `c` from the query `h` before, then `h = cell([x, c], h)`; the output is `h`;
 * - the others: `h = cell([x, a], h)` with the output `a` before (`h = cell(x, h)` without `inputFeeding`), then `c` from the query
 *   `h`; the output is `a = tanh([c, h] C)`.
 *
 * With more `layers` the cell is several: each takes the output of the one before in the same step, `h` is that of the last one, and what
 * is fed goes into the first.
 *
 * A masked step keeps all states and repeats the output before. Where no step of the memory counts, the context is 0.
 *
 * @param options - Units, cell, form of the attention and the rest.
 * @returns A layer from `[batch, time, features]` and a memory `[batch, sources, E]` to `[batch, units]` or `[batch, time, units]`,
 * with weights `kernel [features + fed, gates]` (fed: the E of the context, the units of the output, or 0), `recurrentKernel
 * [units, gates]` and `bias` as of `lstm` and `gru`, those of further cells (`cell2/kernel [units, gates]` and so on), then `query/kernel [units, attentionUnits]` (Q) and `scale [attentionUnits]`
 * (v) of concat and bahdanau, `combine/kernel [E + units, units]` (C) of all but bahdanau, and `key/kernel` (K) of all but dot:
 * `[E, units]` of general, `[E, attentionUnits]` of the others.
 * @throws OptionError if an option is unknown or out of range, or not one of this cell or form.
 */
export function attentionRnn(
  options: AttentionRnnOptions & { returnState?: false; returnAttentionScores?: false },
): AttentionRnnLayer;
export function attentionRnn(options: AttentionRnnOptions & { returnState: true }): AttentionRnnListLayer;
export function attentionRnn(options: AttentionRnnOptions & { returnAttentionScores: true }): AttentionRnnListLayer;
export function attentionRnn(options: AttentionRnnOptions): AttentionRnnUnionLayer;
export function attentionRnn(options: AttentionRnnOptions): AttentionRnnUnionLayer {
  checkKeys(type, options, names);
  const cell = nameOption(type, "cell", options.cell ?? "lstm", ["lstm", "gru"]);
  const attention = nameOption(type, "attention", options.attention ?? "general", attentionForms);
  const units = integerOption(type, "units", options.units, 1);
  const flag = (option: Flag, standard: boolean) => booleanOption(type, option, options[option] ?? standard);
  const additive = attention === "concat" || attention === "bahdanau";
  const none = (option: keyof AttentionRnnOptions, of: string) => {
    if (options[option] !== undefined) throw new OptionError(`${type}: ${option} is no option of ${of}: leave it out`);
  };
  if (!additive) none("attentionUnits", `attention "${attention}"`);
  if (attention === "bahdanau" && options.inputFeeding === true) {
    throw new OptionError(`${type}: inputFeeding is no option of attention "bahdanau", whose cell gets the context`);
  }
  none(cell === "lstm" ? "resetAfter" : "unitForgetBias", `cell "${cell}"`);
  const layers = integerOption(type, "layers", options.layers ?? 1, 1);
  const inputFeeding = flag("inputFeeding", attention !== "bahdanau");
  if (layers > maximumLayers) throw new OptionError(`${type}: layers must be at most ${maximumLayers}, got ${layers}`);
  if (layers > 1 && !inputFeeding) {
    throw new OptionError(`${type}: ${layers} layers need inputFeeding: stack other layers on it instead`);
  }
  const resolved: LayerOptionsDocument = {
    cell,
    units,
    ...(layers > 1 && { layers }),
    attention,
    ...(additive && { attentionUnits: integerOption(type, "attentionUnits", options.attentionUnits ?? units, 1) }),
    inputFeeding,
    useBias: flag("useBias", true),
    ...rate("dropout", options.dropout),
    ...rate("recurrentDropout", options.recurrentDropout),
    ...(cell === "lstm" ? { unitForgetBias: flag("unitForgetBias", true) } : { resetAfter: flag("resetAfter", true) }),
    kernelInitializer: rule("kernelInitializer", options.kernelInitializer ?? "glorotUniform"),
    recurrentInitializer: rule("recurrentInitializer", options.recurrentInitializer ?? "orthogonal"),
    biasInitializer: rule("biasInitializer", options.biasInitializer ?? "zeros"),
    returnSequences: flag("returnSequences", false),
    returnState: flag("returnState", false),
    returnAttentionScores: flag("returnAttentionScores", false),
    ...weightRules(type, options, weights),
  };
  const setup: LayerSetup = { type, common: options, options: resolved };
  return new AttentionRnn(setup) as unknown as AttentionRnnUnionLayer;
}

/** A rate of dropout as an option of the document, which has none if it is 0. */
function rate(option: "dropout" | "recurrentDropout", given: number | undefined): Record<string, number> {
  const checked = numberOption(type, option, given ?? 0, 0, 1);
  if (checked === 1) throw new OptionError(`${type}: ${option} must be below 1, got 1`);
  return checked === 0 ? {} : { [option]: checked };
}

type Flag =
  | "inputFeeding"
  | "useBias"
  | "unitForgetBias"
  | "resetAfter"
  | "returnSequences"
  | "returnState"
  | "returnAttentionScores";

function rule(
  option: "kernelInitializer" | "recurrentInitializer" | "biasInitializer",
  given: InitializerName | Initializer,
) {
  const initializer = resolveInitializer(type, option, given);
  if (initializer.type === "provided") {
    throw new OptionError(`${type}: ${option} must be a rule, not given values: use setWeights for those`);
  }
  return initializer.document;
}
