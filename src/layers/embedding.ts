import type { VocabularyLike } from "../data/glove.ts";
import { OptionError, StateError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { type Coverage, GloveInitializer, GloveTable, glove } from "../initializers/glove.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption } from "../options.ts";
import { commonOptions, Layer, type LayerOptions, type LayerSetup } from "./layer.ts";
import { providersOf } from "./providers.ts";
import { type EmbeddingsRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["embeddings"];

/** Options of {@link embedding}. */
export interface EmbeddingOptions extends LayerOptions, EmbeddingsRules {
  /** Rows of the table: ids are below it; at least 1. */
  inputDim: number;
  /** Width of a row, at least 1. */
  outputDim: number;
  /** Id 0 is padding: its positions are masked in the layers behind and in the loss; default `false`. */
  maskZero?: boolean;
  /**
   * How the table begins; default `"uniform"`, between -0.05 and 0.05. `"glove:50d"`, `"glove:./file.txt"` and
   * {@link glove} take pre-trained vectors for the words of `vocabulary`.
   */
  embeddingsInitializer?: InitializerName | `glove:${string}` | Initializer | GloveInitializer;
  /** The words of the ids, needed for GloVe. */
  vocabulary?: VocabularyLike;
}

/** A table of vectors, called with ids. */
export interface EmbeddingLayer extends Layer {
  /**
   * @param ids - Integers `[batch, ...]`.
   * @returns `[batch, ..., outputDim]`
   */
  (ids: SymbolicTensor): SymbolicTensor;
  /**
   * Which words of the vocabulary have pre-trained vectors. Reads the files if the layer is not built yet.
   *
   * @param options - Cancels reading.
   * @throws StateError if the table does not begin with GloVe vectors; FileError if a file is missing.
   */
  coverage(options?: { signal?: AbortSignal }): Promise<Coverage>;
}

class Embedding extends Layer {
  readonly #table: GloveTable | undefined;

  constructor(setup: LayerSetup, table: GloveTable | undefined) {
    super(setup);
    this.#table = table;
  }

  call(...inputs: unknown[]): SymbolicTensor {
    return this.apply(inputs)[0]!;
  }

  async coverage(options: { signal?: AbortSignal } = {}): Promise<Coverage> {
    if (this.#table === undefined) {
      throw new StateError(`layer ${this.name}: coverage is known for embeddings that begin with GloVe vectors only`);
    }
    return this.#table.coverage(this.name, options.signal);
  }
}

/**
 * Rows of a table, chosen by ids.
 *
 * @param options - Size of the table and how it begins.
 * @returns A layer from ids `[batch, ...]` to `[batch, ..., outputDim]`, with the weight `embeddings [inputDim, outputDim]`.
 * @throws OptionError if an option is unknown or out of range, or GloVe vectors are wanted without a vocabulary.
 * @see `keras.layers.Embedding`
 */
export function embedding(options: EmbeddingOptions): EmbeddingLayer {
  checkKeys("embedding", options, [
    ...commonOptions,
    "inputDim",
    "outputDim",
    "maskZero",
    "embeddingsInitializer",
    "vocabulary",
    ...weightRuleNames(weights),
  ]);
  const inputDim = integerOption("embedding", "inputDim", options.inputDim, 1);
  const outputDim = integerOption("embedding", "outputDim", options.outputDim, 1);
  const maskZero = booleanOption("embedding", "maskZero", options.maskZero ?? false);
  const rules = weightRules("embedding", options, weights);
  const start = gloveOption(options.embeddingsInitializer ?? "uniform");
  const setup = (embeddings: LayerSetup["options"], providers: LayerSetup["providers"] = {}, trainable?: boolean) => ({
    type: "embedding",
    common: { ...options, ...(trainable === undefined ? {} : { trainable }) },
    options: { inputDim, outputDim, maskZero, embeddingsInitializer: embeddings, ...rules },
    providers,
  });
  if (start instanceof GloveInitializer) {
    const vocabulary = checkVocabulary(options.vocabulary, inputDim);
    const table = new GloveTable(start, vocabulary, { inputDim, outputDim, maskZero });
    const trainable = options.trainable ?? start.trainable;
    const own = setup({ type: "provided" }, { embeddings: table.provide }, trainable);
    return new Embedding(own, table) as unknown as EmbeddingLayer;
  }
  const embeddings = resolveInitializer("embedding", "embeddingsInitializer", start);
  return new Embedding(setup(embeddings.document, providersOf({ embeddings })), undefined) as unknown as EmbeddingLayer;
}

function gloveOption(
  value: InitializerName | `glove:${string}` | Initializer | GloveInitializer,
): InitializerName | Initializer | GloveInitializer {
  if (typeof value !== "string" || !value.startsWith("glove:")) return value as InitializerName | Initializer;
  return glove({ path: value.slice("glove:".length) });
}

function checkVocabulary(vocabulary: VocabularyLike | undefined, inputDim: number): VocabularyLike {
  if (vocabulary === undefined || !Array.isArray(vocabulary.tokens)) {
    throw new OptionError("embedding: GloVe vectors need the option vocabulary, with its tokens in the order of ids");
  }
  if (vocabulary.tokens.length > inputDim) {
    throw new OptionError(
      `embedding: inputDim must be at least the ${vocabulary.tokens.length} tokens of the vocabulary, got ${inputDim}`,
    );
  }
  return vocabulary;
}
