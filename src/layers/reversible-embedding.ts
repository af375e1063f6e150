import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption } from "../options.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";
import { providersOf } from "./providers.ts";
import { type EmbeddingsRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["embeddings"];

/** Options of {@link reversibleEmbedding}. */
export interface ReversibleEmbeddingOptions extends LayerOptions, EmbeddingsRules {
  /** Rows of the table: ids are below it; at least 1. */
  inputDim: number;
  /** Width of a row, at least 1. */
  outputDim: number;
  /** Whether the way back takes the same table; otherwise it has one of its own. Default `true`. */
  tieWeights?: boolean;
  /** Whether the way back has a bias, which Keras' layer lacks; default `false`. */
  useBias?: boolean;
  /** Id 0 is padding: its positions are masked in the layers behind and in the loss; default `false`. */
  maskZero?: boolean;
  /** How the tables begin; default `"uniform"`, between -0.05 and 0.05. */
  embeddingsInitializer?: InitializerName | Initializer;
  /** Default `"zeros"`. */
  biasInitializer?: InitializerName | Initializer;
}

/** Options of a call of a {@link ReversibleEmbeddingLayer}. */
export interface ReversibleEmbeddingCall {
  /** Whether vectors become scores of all rows, instead of ids rows; default `false`. */
  reverse?: boolean;
}

/** A table of vectors, called with ids, or in reverse with vectors. */
export interface ReversibleEmbeddingLayer extends Layer {
  /**
   * @param input - Ids `[batch, ...]`, or in reverse vectors `[batch, ..., outputDim]`.
   * @param options - Which way.
   * @returns `[batch, ..., outputDim]`, or in reverse the products with all rows, `[batch, ..., inputDim]`.
   */
  (input: SymbolicTensor, options?: ReversibleEmbeddingCall): SymbolicTensor;
}

class ReversibleEmbedding extends Layer {
  call(...inputs: unknown[]): SymbolicTensor {
    const [x, options = {}, ...rest] = inputs as [SymbolicTensor, ReversibleEmbeddingCall?];
    const where = `layer ${this.name}`;
    if (rest.length > 0)
      throw new OptionError(`${where}: expected a tensor and options, got ${inputs.length} arguments`);
    checkKeys(where, options, ["reverse"]);
    const reverse = booleanOption(where, "reverse", options.reverse ?? false);
    if (x?.dtype !== undefined && reverse !== (x.dtype === "float32")) {
      throw new OptionError(
        `${where}: expected ${reverse ? "vectors of float32 with" : "ids of int32 without"} reverse: true, got ${x.dtype}`,
      );
    }
    return this.apply([x])[0]!;
  }
}

/**
 * A table of vectors whose rows are chosen by ids, and which in reverse scores vectors against all of its rows: one matrix
 * for the words that a model reads and for those that it chooses among. Gradients of all calls add up, and a softmax behind
 * the scores is fused with its loss as that of a dense layer is. Other than in Keras, scores keep the mask of the vectors.
 *
 * @param options - Size of the table and how it begins.
 * @returns A layer with the weights `embeddings [inputDim, outputDim]`, `reverseEmbeddings [outputDim, inputDim]` without
 * `tieWeights`, and `reverseBias [inputDim]` with `useBias`.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.ReversibleEmbedding`
 */
export function reversibleEmbedding(options: ReversibleEmbeddingOptions): ReversibleEmbeddingLayer {
  const where = "reversibleEmbedding";
  checkKeys(where, options, [
    ...commonOptions,
    "inputDim",
    "outputDim",
    "tieWeights",
    "useBias",
    "maskZero",
    "embeddingsInitializer",
    "biasInitializer",
    ...weightRuleNames(weights),
  ]);
  const embeddings = resolveInitializer(where, "embeddingsInitializer", options.embeddingsInitializer ?? "uniform");
  const bias = resolveInitializer(where, "biasInitializer", options.biasInitializer ?? "zeros");
  return new ReversibleEmbedding({
    type: where,
    common: options,
    options: {
      inputDim: integerOption(where, "inputDim", options.inputDim, 1),
      outputDim: integerOption(where, "outputDim", options.outputDim, 1),
      tieWeights: booleanOption(where, "tieWeights", options.tieWeights ?? true),
      useBias: booleanOption(where, "useBias", options.useBias ?? false),
      maskZero: booleanOption(where, "maskZero", options.maskZero ?? false),
      embeddingsInitializer: embeddings.document,
      biasInitializer: bias.document,
      ...weightRules(where, options, weights),
    },
    providers: providersOf({ embeddings, reverseEmbeddings: embeddings, reverseBias: bias }),
  }) as unknown as ReversibleEmbeddingLayer;
}
