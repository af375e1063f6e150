import { OptionError } from "../errors.ts";
import { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption, nameOption, numberOption } from "../options.ts";
import { type ActivationName, checkActivation } from "./activation-name.ts";
import { limits } from "./attention-limits.ts";
import { commonOptions, Layer, type LayerOptions, type LayerSetup } from "./layer.ts";

/** Which features of a head are pairs that are turned: of the first half and the second, or neighbours. */
export type RotaryOrder = "halves" | "interleaved";

/** Options of {@link transformerEncoder} and {@link transformerDecoder}. */
export interface TransformerLayerOptions extends LayerOptions {
  /** Features of the hidden layer of the network at each step, at least 1. */
  intermediateDim: number;
  /** Heads of each attention, at least 1; without `keyDim` they must divide the features of the sequence. */
  numHeads: number;
  /** Features of a head, at least 1; default `null`: the features of the sequence by `numHeads`. */
  keyDim?: number | null;
  /** Activation of the hidden layer; default `"relu"`. */
  activation?: ActivationName;
  /** Share of what each part adds to the sequence that becomes 0 in training; from 0 to below 1, default 0. */
  dropout?: number;
  /** Share of the weights of attention that become 0 in training; from 0 to below 1, default `dropout`. */
  attentionDropout?: number;
  /** Share of the hidden layer that becomes 0 in training; from 0 to below 1, default 0. */
  activationDropout?: number;
  /** Added to the variances of the normalisations, at least 0; default 1e-5. */
  layerNormEpsilon?: number;
  /** Whether what goes into each part is normalised; otherwise its sum with the residual is. Default `false`. */
  normalizeFirst?: boolean;
  /**
   * Turns pairs of features of the queries and keys that the sequence has of itself by their positions (Su et al., 2021): pairs of
   * both `"halves"` of a head, as in Llama, or `"interleaved"` neighbours, as in the paper. Default `null`: positions are not told.
   */
  rotary?: RotaryOrder | null;
  /**
   * How many steps of the sequence itself a step sees on either side, itself included, at least 1: steps `t` and `s` see one another
   * if `|t - s| < slidingWindow`. In a decoder, which sees none behind, these are its own step and those before, as in Mistral. What lies
   * outside takes no time. A second sequence is seen whole. Default `null`: all.
   */
  slidingWindow?: number | null;
  /**
   * Between minus and plus which the scaled scores of each attention are brought, softly, before bias, mask and softmax:
   * `cap * tanh(score / cap)`, as in Gemma 2. A number above 0; default `null`: scores are left as they are.
   */
  logitSoftCap?: number | null;
  /**
   * Whether what the heads of each attention give is multiplied by the sigmoid of one more projection of its query, element by element,
   * before the last projection (Qiu et al., 2025); default `false`.
   */
  useGate?: boolean;
  /** Whether projections and network have biases; default `true`. */
  useBias?: boolean;
  /** How kernels begin; default `"glorotUniform"`. */
  kernelInitializer?: InitializerName | Initializer;
  /** How biases begin; default `"zeros"`. */
  biasInitializer?: InitializerName | Initializer;
  /**
   * Whether training computes the values within the layer a second time, right before its backward pass, instead of keeping them:
   * of each layer only what comes in is kept, which takes far less memory for long sequences and about a quarter more time. Losses
   * and gradients are the same to the last bit. Default `false`.
   */
  recompute?: boolean;
}

/** Options of a call of a layer of a Transformer. */
export interface TransformerCallOptions {
  /**
   * What is added to the scaled scores of the attention of the sequence to itself, `[batch, numHeads, time, time]`, where 1 in the place
   * of the batch or the heads is for all: what {@link layers.relativePositionBias} gives, which layers of a stack may share. Default nothing.
   */
  attentionBias?: SymbolicTensor;
}

/** An encoder layer of a Transformer. */
export interface TransformerEncoderLayer extends Layer {
  /**
   * @param sequence - `[batch, time, features]`.
   * @param options - What is added to scores.
   * @returns `[batch, time, features]`
   */
  (sequence: SymbolicTensor, options?: TransformerCallOptions): SymbolicTensor;
}

/** A decoder layer of a Transformer. */
export interface TransformerDecoderLayer extends Layer {
  /**
   * @param sequence - `[batch, time, features]`.
   * @param memory - What is attended to besides, `[batch, steps, any features]`: the output of an encoder. All calls of a
   * layer have it, or none.
   * @param options - What is added to scores.
   * @returns `[batch, time, features]`
   */
  (sequence: SymbolicTensor, memory?: SymbolicTensor, options?: TransformerCallOptions): SymbolicTensor;
  /**
   * @param sequence - `[batch, time, features]`.
   * @param options - What is added to scores.
   * @returns `[batch, time, features]`
   */
  (sequence: SymbolicTensor, options: TransformerCallOptions): SymbolicTensor;
}

/** Takes the options of a call from the end of its arguments: tensors, and what is added to scores. */
function splitCall(where: string, inputs: readonly unknown[]): { sequences: unknown[]; bias: unknown[] } {
  const given = inputs.filter((input) => input !== undefined);
  const last = given.at(-1);
  if (last instanceof SymbolicTensor || given.length < 2) return { sequences: given, bias: [] };
  checkKeys(where, last, ["attentionBias"]);
  const { attentionBias } = last as TransformerCallOptions;
  if (attentionBias !== undefined && attentionBias.shape?.length !== 4) {
    throw new OptionError(`${where}: expected attentionBias to be a tensor [batch, heads, time, time]`);
  }
  return { sequences: given.slice(0, -1), bias: attentionBias === undefined ? [] : [attentionBias] };
}

class TransformerEncoder extends Layer {
  call(...inputs: unknown[]): SymbolicTensor {
    const { sequences, bias } = splitCall(`layer ${this.name}`, inputs);
    return this.apply([...sequences, ...bias])[0]!;
  }
}

class TransformerDecoder extends Layer {
  #inputs: number | undefined;

  call(...inputs: unknown[]): SymbolicTensor {
    const { sequences: given, bias } = splitCall(`layer ${this.name}`, inputs);
    if (this.#inputs !== undefined && given.length !== this.#inputs) {
      throw new OptionError(
        `layer ${this.name}: expected ${this.#inputs} ${this.#inputs === 1 ? "tensor" : "tensors"} as in its first call, ` +
          `got ${given.length}: make another layer`,
      );
    }
    const [output] = this.apply([...given, ...bias]);
    this.#inputs = given.length;
    return output!;
  }
}

function setupOf(where: string, options: TransformerLayerOptions): LayerSetup {
  checkKeys(where, options, [
    ...commonOptions,
    "intermediateDim",
    "numHeads",
    "keyDim",
    "activation",
    "dropout",
    "attentionDropout",
    "activationDropout",
    "layerNormEpsilon",
    "normalizeFirst",
    "rotary",
    "slidingWindow",
    "logitSoftCap",
    "useGate",
    "useBias",
    "kernelInitializer",
    "biasInitializer",
    "recompute",
  ]);
  const keyDim = options.keyDim ?? null;
  const rotary = options.rotary ?? null;
  const dropout = rate(where, "dropout", options.dropout ?? 0);
  const epsilon = numberOption(where, "layerNormEpsilon", options.layerNormEpsilon ?? 1e-5, 0);
  if (!Number.isFinite(Math.fround(epsilon))) {
    throw new OptionError(`${where}: layerNormEpsilon ${epsilon} is no 32-bit number`);
  }
  const kernel = rule(where, "kernelInitializer", options.kernelInitializer ?? "glorotUniform");
  const bias = rule(where, "biasInitializer", options.biasInitializer ?? "zeros");
  return {
    type: where,
    common: options,
    options: {
      intermediateDim: integerOption(where, "intermediateDim", options.intermediateDim, 1),
      numHeads: integerOption(where, "numHeads", options.numHeads, 1),
      keyDim: keyDim === null ? null : integerOption(where, "keyDim", keyDim, 1),
      activation: checkActivation(where, "activation", options.activation ?? "relu"),
      dropout,
      attentionDropout: rate(where, "attentionDropout", options.attentionDropout ?? dropout),
      activationDropout: rate(where, "activationDropout", options.activationDropout ?? 0),
      layerNormEpsilon: epsilon,
      normalizeFirst: booleanOption(where, "normalizeFirst", options.normalizeFirst ?? false),
      rotary: rotary === null ? null : nameOption(where, "rotary", rotary, ["halves", "interleaved"]),
      ...limits(where, options),
      useBias: booleanOption(where, "useBias", options.useBias ?? true),
      kernelInitializer: kernel.document,
      biasInitializer: bias.document,
      ...(booleanOption(where, "recompute", options.recompute ?? false) ? { recompute: true } : {}),
    },
  };
}

/** One initialiser is for weights of several shapes, so it must be a rule. */
function rule(where: string, option: string, value: InitializerName | Initializer): Initializer {
  const initializer = resolveInitializer(where, option, value);
  if (initializer.type === "provided") {
    throw new OptionError(`${where}: ${option} must be a rule, since it is for weights of several shapes`);
  }
  return initializer;
}

function rate(where: string, name: string, value: unknown): number {
  const checked = numberOption(where, name, value, 0, 1);
  if (checked === 1) throw new OptionError(`${where}: ${name} must be below 1, got 1`);
  return checked;
}

/**
 * An encoder layer of a Transformer: each step attends to all steps that the mask keeps, then passes a network; both parts
 * have a residual and a normalisation.
 *
 * @param options - Sizes, dropout, and where it normalises.
 * @returns A layer from `[batch, time, features]` to the same, with weights in the order of {@link https://keras.io/keras_hub KerasHub}:
 * `selfAttention/query/kernel [features, heads * keyDim]`, `selfAttention/query/bias`, the same of `key`, with `useGate` of `gate`, and of
 * `value`, `selfAttention/attentionOutput/kernel` and `bias`, `selfAttentionLayerNorm/gamma` and `beta`, those of `feedforwardLayerNorm`,
 * `feedforwardIntermediateDense/kernel` and `bias`, those of `feedforwardOutputDense`. The heads of a kernel lie side by side. It
 * throws `ShapeError` for other shapes, and if the heads do not divide the features.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras_hub.layers.TransformerEncoder`
 */
export function transformerEncoder(options: TransformerLayerOptions): TransformerEncoderLayer {
  return new TransformerEncoder(setupOf("transformerEncoder", options)) as unknown as TransformerEncoderLayer;
}

/**
 * A decoder layer of a Transformer: each step attends to itself and those before, then to another sequence if there is one,
 * then passes a network; each part has a residual and a normalisation. Without a second sequence it is a layer of a language
 * model.
 *
 * @param options - Sizes, dropout, and where it normalises.
 * @returns A layer from `[batch, time, features]` to the same, with weights in the order of KerasHub: those of `selfAttention` and
 * `selfAttentionLayerNorm` as in {@link transformerEncoder}, with a second sequence those of `crossAttention` and
 * `crossAttentionLayerNorm`, then `feedforwardIntermediateDense`, `feedforwardOutputDense` and `feedforwardLayerNorm`. It throws
 * `ShapeError` for other shapes, and if the heads do not divide the features.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras_hub.layers.TransformerDecoder`
 */
export function transformerDecoder(options: TransformerLayerOptions): TransformerDecoderLayer {
  return new TransformerDecoder(setupOf("transformerDecoder", options)) as unknown as TransformerDecoderLayer;
}
