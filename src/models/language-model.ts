import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Dataset } from "../data/dataset.ts";
import type { SubwordSampling, Tokenizer } from "../data/tokenizer.ts";
import type { View } from "../data/view.ts";
import type { GenerateOptions, Generation } from "../decoding/options.ts";
import { checkGenerate, checkStream } from "../decoding/options.ts";
import { inspectionOf } from "../decoding/request.ts";
import { checkScore, type ScoredTarget, type ScoreOptions } from "../decoding/score.ts";
import { DataError, FormatError, fromFile, GraphError, OptionError, SconceError, StateError } from "../errors.ts";
import { checkKeys } from "../options.ts";
import { loadModel } from "../saving/load-model.ts";
import type { LoadOptions } from "../saving/weight-type.ts";
import type { History } from "../training/history.ts";
import { judged } from "../training/source.ts";
import { testRequest } from "../training/step-request.ts";
import { resetStates } from "../training/trainable.ts";
import {
  type Block,
  batchOfBlocks,
  type Documents,
  listOf,
  TokenStream,
  tokensOfBlocks,
} from "./language-model/blocks.ts";
import { Continuer } from "./language-model/continuer.ts";
import { type LanguageModelDocument, languageModelFile, readLanguageModelDocument } from "./language-model/document.ts";
import {
  checkLanguageModelEvaluate,
  checkLanguageModelFit,
  type LanguageModelEvaluateOptions,
  type LanguageModelEvaluation,
  type LanguageModelFitOptions,
} from "./language-model/fit.ts";
import { type RecurrentLanguageModelOptions, recurrentLanguageModel } from "./language-model/recurrent.ts";
import { type TransformerLanguageModelOptions, transformerLanguageModel } from "./language-model/transformer.ts";
import { Model } from "./model.ts";
import type { SaveOptions } from "./model-options.ts";
import { checkTrained, compileFor } from "./seq2seq/fit.ts";
import type { Border } from "./seq2seq/roles.ts";
import { checkChance, samplingOf } from "./seq2seq/subword-regularization.ts";
import { tokenizerOption } from "./transformer-parts.ts";

/** Options of {@link LanguageModel.fromModel}. */
export interface LanguageModelOptions {
  /** A functional model from ids `[batch, time]` to probabilities of the next tokens `[batch, time, vocabulary]`. */
  model: Model;
  /** Tokenizer of the texts. */
  tokenizer: Tokenizer;
  /** The token between texts; default the end token of the vocabulary. */
  endToken?: string;
}

/**
 * A model of how texts go on: a functional model from tokens to probabilities of the next ones, and a tokenizer. The end
 * token stands between texts, and before the first.
 */
export class LanguageModel {
  /** The model. */
  readonly model: Model;
  /** Tokenizer of the texts. */
  readonly tokenizer: Tokenizer;
  readonly #end: number;
  readonly #continuer: Continuer;

  private constructor(model: Model, tokenizer: Tokenizer, end: number) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.#end = end;
    this.#continuer = new Continuer(model, tokenizer, end);
  }

  /**
   * Decoder layers of a Transformer: each token sees itself and those before.
   *
   * @param options - Tokenizer, sizes, and how it is built.
   * @throws OptionError if an option is unknown, out of range, or does not fit another.
   *
   * @example
   * ```ts
   * import { adam, LanguageModel, Tokenizer } from "sconce";
   *
   * const texts = ["the first text", "another one"];
   * const tokenizer = await Tokenizer.train(texts, { type: "bpe", vocabularySize: 1000 });
   * const writer = LanguageModel.transformer({ tokenizer, dModel: 128, layers: 2 });
   * await writer.fit(texts, { contextLength: 64, epochs: 5, optimizer: adam({ learningRate: 1e-3 }) });
   * const [result] = await writer.generate(["the"], { maxNewTokens: 20 });
   * ```
   */
  static transformer(options: TransformerLanguageModelOptions): LanguageModel {
    return LanguageModel.fromModel({ model: transformerLanguageModel(options), tokenizer: options.tokenizer });
  }

  /**
   * Recurrent layers with dropout between them.
   *
   * @param options - Tokenizer, sizes, and how it is built.
   * @throws OptionError if an option is unknown, out of range, or does not fit another.
   */
  static recurrent(options: RecurrentLanguageModelOptions): LanguageModel {
    return LanguageModel.fromModel({ model: recurrentLanguageModel(options), tokenizer: options.tokenizer });
  }

  /**
   * Wraps a functional model.
   *
   * @param options - The model and its tokenizer.
   * @throws OptionError if an option is wrong; GraphError if input or output do not fit the vocabulary, or the output cannot be
   * computed from left to right.
   */
  static fromModel(options: LanguageModelOptions): LanguageModel {
    const where = "LanguageModel.fromModel";
    checkKeys(where, options, ["model", "tokenizer", "endToken"]);
    const { model, endToken } = options;
    if (!(model instanceof Model)) throw new OptionError(`${where}: model must be a model made by model()`);
    const tokenizer = tokenizerOption(where, "tokenizer", options.tokenizer);
    const { vocabulary } = tokenizer;
    if (vocabulary.padding > 0) {
      throw new OptionError(`${where}: padding of the tokenizer must have id 0, got ${vocabulary.padding}`);
    }
    if (endToken !== undefined && !vocabulary.has(endToken)) {
      throw new OptionError(`${where}: endToken ${JSON.stringify(endToken)} is not in the vocabulary`);
    }
    const end = endToken === undefined ? vocabulary.end : vocabulary.id(endToken);
    if (end < 0)
      throw new OptionError(`${where}: the tokenizer has no end token; name one of its tokens with endToken`);
    const { inputs, outputs } = JSON.parse(model.handle().describe()) as Border;
    const [read, written] = [inputs[0], outputs[0]];
    const shown = (tensors: Border["inputs"]) =>
      tensors.map(({ dtype, shape }) => `${dtype} [${shape.join(", ")}]`).join("; ");
    if (inputs.length !== 1 || read?.dtype !== "int32" || read.shape.length !== 2) {
      throw new GraphError(`${where}: expected one input of ids, int32 [batch, time], got ${shown(inputs)}`);
    }
    if (outputs.length !== 1 || written?.shape.length !== 3 || written.shape[2] !== vocabulary.size) {
      throw new GraphError(
        `${where}: expected one output [batch, time, ${vocabulary.size}] with a probability for each token, got ${shown(outputs)}`,
      );
    }
    if (written.masked !== true) {
      throw new GraphError(`${where}: the output has no mask, so padding would be learnt: embed the ids with maskZero`);
    }
    const made = new LanguageModel(model, tokenizer, end);
    // The error names the layer that looks ahead.
    model.handle().inspectDecoder(JSON.stringify(inspectionOf(made.#continuer.request())));
    return made;
  }

  /**
   * Reads a folder that {@link LanguageModel.save} wrote.
   *
   * @param folder - The folder of the model.
   * @param options - How its weights are kept.
   * @throws FileError if it cannot be read; FormatError if a file in it is damaged or does not fit the others.
   */
  static async load(folder: string, options: LoadOptions = {}): Promise<LanguageModel> {
    const model = await loadModel<Model>(folder, options);
    try {
      const path = join(folder, languageModelFile);
      const text = await readFile(path, "utf8").catch((error: unknown) => {
        throw fromFile("cannot read", path, error);
      });
      const { tokenizer, end } = readLanguageModelDocument(text);
      return LanguageModel.fromModel({ model, tokenizer, endToken: tokenizer.vocabulary.token(end) });
    } catch (error) {
      model.dispose();
      if (error instanceof SconceError && (error.code === "OPTION" || error.code === "GRAPH")) {
        throw new FormatError(`${folder}: ${languageModelFile} does not fit the model: ${error.message}`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /**
   * Trains on texts: they are cut into blocks of `contextLength` tokens, whose order changes in each epoch, and each token is
   * learnt from those before it in its block.
   *
   * With stateful layers the texts are cut into `batchSize` long parts instead, which are read side by side, block by block, in
   * their order: each token is learnt from all before it in its part, while gradients flow through its block alone (truncated
   * back-propagation through time).
   *
   * @param texts - What is learnt.
   * @param options - Blocks, batches, epochs, validation and the rest.
   * @returns The losses and metrics of each epoch.
   * @throws OptionError if an option is wrong; DataError if there are no texts; what `Model.fit` throws.
   */
  async fit(texts: Documents, options: LanguageModelFitOptions = {}): Promise<History> {
    const { contextLength, batchSize, seed, validation, subwordRegularization, passed } =
      checkLanguageModelFit(options);
    if (subwordRegularization !== undefined)
      checkChance("fit: subwordRegularization", subwordRegularization, this.tokenizer);
    const { optimizer, labelSmoothing, signal } = options;
    const standard = this.model.compilation === undefined ? "adam" : undefined;
    const compiled = {
      ...(labelSmoothing === undefined ? {} : { labelSmoothing }),
      ...((optimizer ?? standard) === undefined ? {} : { optimizer: (optimizer ?? standard)! }),
    };
    compileFor(this.model, { output: 0 }, compiled, seed);
    await this.model.build({ seed, ...(signal === undefined ? {} : { signal }) });
    const inOrder = async (list: readonly string[], sampling?: SubwordSampling) =>
      this.#inOrder(await this.#stream(list, signal, sampling), contextLength, batchSize);
    const list = listOf("fit", texts);
    const blocks =
      subwordRegularization === undefined
        ? Dataset.fromView(await inOrder(list))
        : Dataset.fromViews((epoch) => inOrder(list, samplingOf(subwordRegularization, seed, epoch, 0)));
    const training = (this.model.stateful ? blocks : blocks.shuffle(seed)).batch(batchSize, batchOfBlocks);
    if (validation === undefined) return this.model.fit(training, passed);
    const held = Dataset.fromView(await inOrder(listOf("fit: validation", validation)));
    return this.model.fit(training, { ...passed, validationData: held.batch(batchSize, batchOfBlocks) });
  }

  /**
   * Loss, perplexity and accuracy over all tokens. With stateful layers the texts are read as `fit` reads them.
   *
   * @param texts - Any texts.
   * @param options - Blocks, batches, signal.
   * @throws StateError if the model is not compiled; DataError if there are no texts.
   */
  async evaluate(texts: Documents, options: LanguageModelEvaluateOptions = {}): Promise<LanguageModelEvaluation> {
    const { contextLength, batchSize, signal } = checkLanguageModelEvaluate(options);
    const { model } = this;
    checkTrained(model, 0);
    await model.build(signal === undefined ? {} : { signal });
    const [trained] = model.trainedOutputs;
    const place = (name: string) => {
      const found = trained!.metrics.findIndex((metric) => metric.name === name);
      if (found === -1) throw new StateError(`model ${model.name} was not compiled with ${name}: call fit first`);
      return found;
    };
    const [accuracy, perplexity] = [place("accuracy"), place("perplexity")];
    const stream = await this.#stream(listOf("evaluate", texts), signal);
    const sums = { loss: 0, accuracy: 0, crossEntropy: 0 };
    await resetStates(model);
    const inOrder = Dataset.fromView(this.#inOrder(stream, contextLength, batchSize));
    for await (const blocks of inOrder.batch(batchSize)) {
      signal?.throwIfAborted();
      const data = await judged(batchOfBlocks(blocks), "evaluate: ", model.inputSpecifications, model.trainedOutputs);
      const result = await model.trainer().testOnBatch(testRequest(model, data), signal);
      const { loss, metrics } = result.outputs[0]!;
      const real = tokensOfBlocks(blocks);
      const mean = (metric: number) => metrics[metric]!.total / metrics[metric]!.count;
      sums.loss += loss * real;
      sums.accuracy += mean(accuracy) * real;
      sums.crossEntropy += mean(perplexity) * real;
    }
    await resetStates(model);
    const { tokens } = stream;
    return {
      loss: sums.loss / tokens,
      perplexity: Math.exp(sums.crossEntropy / tokens),
      tokenAccuracy: sums.accuracy / tokens,
      tokens,
    };
  }

  /**
   * Goes on with texts up to the end token: by default with the most probable token at each step, with options by beam search or
   * sampling as in Hugging Face's `generate`.
   *
   * @param prompts - How texts begin; an empty one begins a text.
   * @param options - Search, limits, signal.
   * @returns What comes behind each prompt, in their order.
   * @throws OptionError if an option is wrong, contradicts another or leaves no token to choose; DataError if an item is no string.
   */
  async generate(prompts: readonly string[], options: GenerateOptions = {}): Promise<Generation[]> {
    const decoding = checkGenerate(options);
    if (!Array.isArray(prompts)) throw new OptionError("generate: expected a list of prompts");
    if (decoding.outputAttentions) {
      throw new OptionError("generate: outputAttentions is for translators: a language model has no source to look at");
    }
    return this.#continuer.generate(prompts, decoding);
  }

  /**
   * Goes on with a text and gives what comes in pieces while it is made.
   *
   * In beam search a piece comes when all sequences that may still be the best one begin with it. The text is decoded by itself,
   * beside those of other calls.
   *
   * @param prompt - How the text begins.
   * @param options - Search, limits, signal.
   * @returns Pieces which together are the text that {@link LanguageModel.generate} gives.
   * @throws OptionError if an option is wrong; DataError if `prompt` is no string.
   */
  async *stream(
    prompt: string,
    options: Omit<GenerateOptions, "batchSize" | "numReturnSequences"> = {},
  ): AsyncGenerator<string, void, undefined> {
    const decoding = checkStream(options);
    if (typeof prompt !== "string") throw new DataError("stream: expected a text");
    yield* this.#continuer.stream(prompt, decoding);
  }

  /**
   * The log-probabilities of texts, each from its first token to the end token behind it. They are those of the whole distribution
   * of each next token, the padding included.
   *
   * @param texts - Any texts.
   * @param options - Batches, signal.
   * @returns One result for each text, in their order.
   * @throws OptionError if an option is wrong; DataError if an item is no string.
   */
  async score(texts: readonly string[], options: ScoreOptions = {}): Promise<ScoredTarget[]> {
    const checked = checkScore(options);
    if (!Array.isArray(texts)) throw new OptionError("score: expected a list of texts");
    return this.#continuer.score(texts, checked);
  }

  /**
   * Writes the model, its tokenizer and, if it is compiled, the state of its optimiser as a folder, atomically.
   *
   * @param folder - Where; an earlier model in that place is replaced.
   * @param options - Further files of the folder.
   * @throws FileError if something cannot be written; StateError if the model is not built.
   */
  async save(folder: string, options: SaveOptions = {}): Promise<void> {
    const document: LanguageModelDocument = {
      format: "sconce-language-model",
      version: 1,
      tokenizer: this.tokenizer.toJSON(),
      end: this.#end,
    };
    const extraFiles = { ...options.extraFiles, [languageModelFile]: `${JSON.stringify(document)}\n` };
    await this.model.save(folder, { ...options, extraFiles });
  }

  /** Frees the model; it cannot be used afterwards. */
  dispose(): void {
    this.model.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  /** The blocks of a stream in the order in which they are judged. */
  #inOrder(stream: TokenStream, size: number, rows: number): View<Block> {
    return this.model.stateful ? stream.streams(size, rows) : stream.blocks(size);
  }

  #stream(texts: readonly string[], signal: AbortSignal | undefined, sampling?: SubwordSampling): Promise<TokenStream> {
    const { tokenizer } = this;
    return TokenStream.of(texts, tokenizer, {
      end: this.#end,
      signal,
      ...(sampling === undefined ? {} : { sampling }),
    });
  }
}
