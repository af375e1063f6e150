import { OptionError } from "../errors.ts";
import type { LayerOptionsDocument } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import {
  type AttentionCallOptions,
  type AttentionOutputs,
  attentionCall,
  noMore,
  seedOption,
} from "./attention-call.ts";
import { limits } from "./attention-limits.ts";
import { axesOption } from "./axes-option.ts";
import { commonOptions, Layer, type LayerOptions, type LayerSetup } from "./layer.ts";
import { type BiasRules, type KernelRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["kernel", "bias"];

/** Options that attention layers with projections have; each goes to all four projections. */
export interface ProjectedAttentionOptions extends LayerOptions, KernelRules, BiasRules {
  /** Share of the scores that become 0 in training, from 0 to below 1; default 0. */
  dropout?: number;
  /** Whether the projections have biases; default `true`. */
  useBias?: boolean;
  /**
   * How many keys a query sees on either side, itself included, at least 1: key `s` counts for query `t` if `|t - s| < slidingWindow`.
   * With `useCausalMask` these are its own place and those before, as in Mistral. Keys outside take no time. Default `null`: all.
   */
  slidingWindow?: number | null;
  /**
   * Between minus and plus which scaled scores are brought, softly, before bias, mask and softmax: `cap * tanh(score / cap)`, as in
   * Gemma 2. A number above 0; default `null`: scores are left as they are. Keras has no such option.
   */
  logitSoftCap?: number | null;
  /**
   * Whether what the heads give is multiplied by the sigmoid of one more projection of the query, element by element, before the last
   * projection (Qiu et al., 2025); default `false`.
   */
  useGate?: boolean;
  /**
   * Seed of the layer's dropout, an integer of at least 0: what is dropped then depends on it and on the number of the step, not on the
   * model's seed or on other layers. Default `null`: the seed of the model.
   */
  seed?: number | null;
  /** Default `"glorotUniform"`. */
  kernelInitializer?: InitializerName | Initializer;
  /** Default `"zeros"`. */
  biasInitializer?: InitializerName | Initializer;
}

/** Options of {@link multiHeadAttention}. */
export interface MultiHeadAttentionOptions extends ProjectedAttentionOptions {
  /** Number of heads, at least 1. */
  numHeads: number;
  /** Features of each head of queries and keys, at least 1. */
  keyDim: number;
  /** Features of each head of values, at least 1; default `keyDim`. */
  valueDim?: number;
  /** Features of the output, at least 1; default those of the query. */
  outputShape?: number | null;
  /**
   * Axes that are attended over, of inputs with more than one between batch and features; negative ones are counted from the end. At each
   * place of the others, which query and value must have in common, attention is by itself. Default `null`: all between batch and
   * features.
   */
  attentionAxes?: number | readonly number[] | null;
}

/** Options of a call of an attention layer with projections. */
export interface MultiHeadAttentionCallOptions extends AttentionCallOptions {
  /** What queries are compared with, `[batch, S, features]`; default the value. */
  key?: SymbolicTensor;
  /**
   * Which keys count for which queries: those where it is not 0. Float or ids, `[batch, T, S]` or `[batch, heads, T, S]`, where 1
   * in the place of the batch or the heads is for all; with more axes as the scores, of which those between the batch and the queries may
   * be missing. Default all that the masks of the inputs let through.
   */
  attentionMask?: SymbolicTensor;
  /** What is added to the scaled scores before the softmax, with the axes of the scores, 1 for all as above; default nothing. */
  attentionBias?: SymbolicTensor;
}

/** An attention layer with projections. */
export interface MultiHeadAttentionLayer extends Layer {
  /**
   * @param query - `[batch, T, features]`
   * @param value - `[batch, S, features]`
   * @param options - Key, masks, and that the scores are wanted.
   * @returns The output, `[batch, T, outputShape]`, and the scores, `[batch, heads, T, S]`.
   */
  (
    query: SymbolicTensor,
    value: SymbolicTensor,
    options: MultiHeadAttentionCallOptions & { returnAttentionScores: true },
  ): AttentionOutputs;
  /**
   * @param query - `[batch, T, features]`
   * @param value - `[batch, S, features]`
   * @param options - Key and masks.
   * @returns `[batch, T, outputShape]`
   */
  (
    query: SymbolicTensor,
    value: SymbolicTensor,
    options?: MultiHeadAttentionCallOptions & { returnAttentionScores?: false },
  ): SymbolicTensor;
  /**
   * @param query - `[batch, T, features]`
   * @param value - `[batch, S, features]`
   * @param options - Key, masks, and whether the scores are wanted.
   * @returns The output, or the output and the scores.
   */
  (
    query: SymbolicTensor,
    value: SymbolicTensor,
    options: MultiHeadAttentionCallOptions,
  ): SymbolicTensor | AttentionOutputs;
}

/** An attention of several heads between projections. @internal */
export class ProjectedAttention extends Layer {
  call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
    const [query, value, options = {}, ...more] = inputs;
    const where = `layer ${this.name}`;
    if (value === undefined) throw new OptionError(`${where}: expected a query and a value, such as layer(x, x)`);
    noMore(where, "a query, a value and options", more);
    const tensors = ["key", "attentionMask", "attentionBias"];
    const { inputs: tensorsOfCall, call, scores } = attentionCall(where, query, value, options, tensors);
    const outputs = this.apply(tensorsOfCall, call);
    return scores ? [...outputs] : outputs[0]!;
  }
}

/** Names of the options that all attention layers with projections have. @internal */
export const projectedOptions = [
  ...commonOptions,
  "dropout",
  "useBias",
  "slidingWindow",
  "logitSoftCap",
  "useGate",
  "seed",
  "kernelInitializer",
  "biasInitializer",
  ...weightRuleNames(weights),
] as const;

/**
 * An attention layer with projections.
 *
 * @param type - Its type in the graph document.
 * @param options - Options of the caller.
 * @param sizes - Options that only this kind has, resolved.
 * @throws OptionError if an option is out of range.
 * @internal
 */
export function projectedAttention(
  type: string,
  options: ProjectedAttentionOptions,
  sizes: LayerOptionsDocument,
): MultiHeadAttentionLayer {
  const dropout = numberOption(type, "dropout", options.dropout ?? 0, 0, 1);
  if (dropout === 1) throw new OptionError(`${type}: dropout must be below 1, got 1`);
  const rule = (option: "kernelInitializer" | "biasInitializer", standard: InitializerName) => {
    const initializer = resolveInitializer(type, option, options[option] ?? standard);
    if (initializer.type === "provided") {
      throw new OptionError(`${type}: ${option} fills several weights, so that it must be a rule, not given values`);
    }
    return initializer.document;
  };
  const setup: LayerSetup = {
    type,
    common: options,
    options: {
      ...sizes,
      dropout,
      useBias: booleanOption(type, "useBias", options.useBias ?? true),
      ...limits(type, options),
      ...seedOption(type, options.seed),
      kernelInitializer: rule("kernelInitializer", "glorotUniform"),
      biasInitializer: rule("biasInitializer", "zeros"),
      ...weightRules(type, options, weights),
    },
  };
  return new ProjectedAttention(setup) as unknown as MultiHeadAttentionLayer;
}

/**
 * Attention of several heads: queries, keys and values are projected to heads, each query averages the values by
 * `softmax(query . key / sqrt(keyDim))`, and the heads together are projected to the output.
 *
 * Masks that the inputs carry count: of the value (and of the key, if it is another tensor) for the keys, of the query for the
 * queries; the output has the mask of the query. A query that sees no key, for instance a masked one, averages all values, or
 * gives zeros before the last projection if there is `dropout`, the scores are wanted or inputs have more axes, as in Keras.
 *
 * Inputs may have more axes, `[batch, ..., features]`: `attentionAxes` says over which of them attention is. The scores are then
 * `[batch, the other axes, heads, axes of the queries, axes of the keys]`, and `useCausalMask` and `slidingWindow` need one such axis.
 *
 * @param options - Heads and their features.
 * @returns A layer from a query `[batch, T, D]` and a value `[batch, S, E]` to `[batch, T, outputShape]`, with weights
 * `query/kernel [D, heads, keyDim]`, `query/bias [heads, keyDim]`, those of `key`, with `useGate` `gate/kernel [D, heads, valueDim]` and
 * `gate/bias`, those of `value`, `attentionOutput/kernel [heads, valueDim, outputShape]` and `attentionOutput/bias [outputShape]`. It throws `ShapeError` for tensors that do not fit.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.MultiHeadAttention`
 */
export function multiHeadAttention(options: MultiHeadAttentionOptions): MultiHeadAttentionLayer {
  const type = "multiHeadAttention";
  checkKeys(type, options, [...projectedOptions, "numHeads", "keyDim", "valueDim", "outputShape", "attentionAxes"]);
  const keyDim = integerOption(type, "keyDim", options.keyDim, 1);
  const { outputShape, attentionAxes } = options;
  return projectedAttention(type, options, {
    numHeads: integerOption(type, "numHeads", options.numHeads, 1),
    keyDim,
    valueDim: integerOption(type, "valueDim", options.valueDim ?? keyDim, 1),
    outputShape: outputShape == null ? null : integerOption(type, "outputShape", outputShape, 1),
    ...(attentionAxes != null && { attentionAxes: axesOption(type, attentionAxes, "attentionAxes") }),
  });
}
