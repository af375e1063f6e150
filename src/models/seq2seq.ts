import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Dataset } from "../data/dataset.ts";
import type { DataBatch } from "../data/example.ts";
import type { TextPair } from "../data/parallel-text.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import type { Generation } from "../decoding/options.ts";
import { type GenerationRequest, inspectionOf } from "../decoding/request.ts";
import type { ScoredTarget, ScoreOptions } from "../decoding/score.ts";
import { FormatError, fromFile, OptionError, SconceError } from "../errors.ts";
import { booleanOption, checkKeys } from "../options.ts";
import { loadModel } from "../saving/load-model.ts";
import { modelFolder } from "../saving/run-folder.ts";
import type { LoadOptions } from "../saving/weight-type.ts";
import type { History } from "../training/history.ts";
import { Model } from "./model.ts";
import type { SaveOptions } from "./model-options.ts";
import { batchOf, equalLengths, lengthOf } from "./seq2seq/batches.ts";
import { Decoder } from "./seq2seq/decoder.ts";
import { readSeq2SeqDocument, type Seq2SeqDocument, seq2seqFile } from "./seq2seq/document.ts";
import { type EnsembleOptions, Seq2SeqEnsemble } from "./seq2seq/ensemble.ts";
import {
  checkEvaluate,
  type Evaluation,
  evaluateBatches,
  evaluated,
  type Seq2SeqEvaluateOptions,
} from "./seq2seq/evaluate.ts";
import { checkFit, compileFor, cuttingOf, type Seq2SeqFitOptions } from "./seq2seq/fit.ts";
import { GeneratedValidation } from "./seq2seq/generated-validation.ts";
import { type EncodedPair, PairEncoder, type Pairs, type RandomCutting, textOf } from "./seq2seq/pairs.ts";
import { type TransformerPreset, type TransformerPresetName, transformerPreset } from "./seq2seq/presets.ts";
import { type RecurrentSeq2SeqOptions, recurrentModel } from "./seq2seq/recurrent.ts";
import { type Border, type Feed, findRoles, type Roles, type TensorChoice } from "./seq2seq/roles.ts";
import { type TransformerSeq2SeqOptions, transformerModel } from "./seq2seq/transformer.ts";
import { scoreTranslations, streamTranslation, translateTexts } from "./seq2seq/translate.ts";
import type { TranslateOptions } from "./seq2seq/translate-options.ts";
import { type TranslationRequest, type Translations, translations } from "./seq2seq/translations.ts";

/** Options of {@link Seq2Seq.fromModel}. */
export interface Seq2SeqOptions {
  /** A functional model with an encoder's and a decoder's input. */
  model: Model;
  /** Tokenizer of the texts that are read. */
  source: Tokenizer;
  /** Tokenizer of the texts that are written. */
  target: Tokenizer;
  /** The encoder's input: its name, place or tensor; default what is not the decoder's. */
  encoderInput?: TensorChoice;
  /** The decoder's input; default that with the same time axis as the output. */
  decoderInput?: TensorChoice;
  /** The output with the probabilities of the next token; default the one of the target vocabulary's size. */
  output?: TensorChoice;
  /** How target tokens are given to the decoder; default by the type of its input. */
  feed?: Feed;
  /** The token before the first of a target; default that of the vocabulary. */
  beginToken?: string;
  /** The token after the last of a target; default that of the vocabulary. */
  endToken?: string;
  /** Whether sources are followed by the end token of their vocabulary; default `true`. */
  sourceEnd?: boolean;
}

/** A model from text to text: a functional model with two inputs, and the tokenizers of both sides. */
export class Seq2Seq {
  /** The model. */
  readonly model: Model;
  /** Tokenizer of the texts that are read. */
  readonly source: Tokenizer;
  /** Tokenizer of the texts that are written. */
  readonly target: Tokenizer;
  readonly #roles: Roles;
  readonly #encoder: PairEncoder;
  readonly #decoder: Decoder;

  private constructor(model: Model, encoder: PairEncoder, roles: Roles) {
    this.model = model;
    this.source = encoder.source;
    this.target = encoder.target;
    this.#encoder = encoder;
    this.#roles = roles;
    this.#decoder = new Decoder({ model, encoder, roles });
  }

  /**
   * A recurrent encoder-decoder: the encoder's last states begin the decoder, layer by layer.
   *
   * @param options - Tokenizers, sizes, and how it is built.
   * @throws OptionError if an option is unknown, out of range, or does not fit another.
   *
   * @example
   * ```ts
   * import { readParallelText, Seq2Seq, Tokenizer } from "sconce";
   *
   * const pairs = await readParallelText("train.tsv.gz");
   * const source = await Tokenizer.train(pairs.sources(), { type: "word" });
   * const target = await Tokenizer.train(pairs.targets(), { type: "character" });
   * const translator = Seq2Seq.recurrent({ source, target, units: 256, layers: 2, dropout: 0.2 });
   * await translator.fit(pairs, { epochs: 10, optimizer: "adam" });
   * ```
   */
  static recurrent(options: RecurrentSeq2SeqOptions): Seq2Seq {
    const model = recurrentModel(options);
    return Seq2Seq.fromModel({ model, source: options.source, target: options.target });
  }

  /**
   * A Transformer: attention to the source, and to what is written so far, in place of recurrence (Vaswani et al., 2017).
   *
   * Tables of embeddings and the scores of tokens begin as normal numbers with the deviation `dModel^-0.5`, kernels as
   * `"glorotUniform"`, biases as zeros; embeddings are multiplied by the root of `dModel`.
   *
   * @param options - Tokenizers, sizes, and how it is built.
   * @throws OptionError if an option is unknown, out of range, or does not fit another.
   *
   * @example
   * ```ts
   * import { readParallelText, Seq2Seq, Tokenizer } from "sconce";
   *
   * const pairs = await readParallelText("train.tsv.gz");
   * const source = await Tokenizer.train(pairs.sources(), { type: "bpe", vocabularySize: 8000 });
   * const target = await Tokenizer.train(pairs.targets(), { type: "bpe", vocabularySize: 8000 });
   * const translator = Seq2Seq.transformer({ source, target, preset: "transformer-tiny" });
   * await translator.fit(pairs, { ...Seq2Seq.preset("transformer-tiny").fit, epochs: 20 });
   * ```
   */
  static transformer(options: TransformerSeq2SeqOptions): Seq2Seq {
    const model = transformerModel(options);
    return Seq2Seq.fromModel({ model, source: options.source, target: options.target });
  }

  /**
   * A known Transformer: the options of {@link Seq2Seq.transformer} that it stands for, and the options of {@link Seq2Seq.fit} that it
   * is trained with.
   *
   * @param name - `"transformer-tiny"` (4 + 4 layers of 128 features, dropout 0.3), `"transformer-small"` (3 + 3 of 256) or
   * `"transformer-base"` (6 + 6 of 512).
   * @throws OptionError if the name is unknown.
   */
  static preset(name: TransformerPresetName): TransformerPreset {
    return transformerPreset("Seq2Seq.preset", name);
  }

  /**
   * Wraps a functional model.
   *
   * @param options - The model, its tokenizers, and what cannot be inferred.
   * @throws OptionError if an option is wrong; GraphError if an input or output is missing, does not fit the vocabularies or
   *   is ambiguous, or if the output cannot be decoded from left to right.
   */
  static fromModel(options: Seq2SeqOptions): Seq2Seq {
    const where = "Seq2Seq.fromModel";
    checkKeys(where, options, [
      "model",
      "source",
      "target",
      "encoderInput",
      "decoderInput",
      "output",
      "feed",
      "beginToken",
      "endToken",
      "sourceEnd",
    ]);
    const { model, source, target, beginToken, endToken, sourceEnd = true, ...choices } = options;
    booleanOption(where, "sourceEnd", sourceEnd);
    if (!(model instanceof Model)) throw new OptionError(`${where}: model must be a model made by model()`);
    for (const [name, tokenizer] of [["source", source] as const, ["target", target] as const]) {
      if (!(tokenizer instanceof Tokenizer)) throw new OptionError(`${where}: ${name} must be a Tokenizer`);
      checkSpecials(where, name, tokenizer);
    }
    const { vocabulary } = target;
    if (beginToken === undefined && vocabulary.begin < 0) {
      throw new OptionError(`${where}: target has no begin token; name one of its tokens with beginToken`);
    }
    const frame = {
      begin: beginToken === undefined ? vocabulary.begin : tokenId(target, "beginToken", beginToken),
      end: endToken === undefined ? vocabulary.end : tokenId(target, "endToken", endToken),
    };
    const sizes = { source: source.vocabulary.size, target: vocabulary.size };
    const handle = model.handle();
    const border = JSON.parse(handle.describe()) as Border;
    const request = (decoderInput: number, output: number): GenerationRequest =>
      inspectionOf({
        decoderInput,
        output,
        beginId: frame.begin,
        endId: [frame.end],
        padId: vocabulary.padding,
        feed: border.inputs[decoderInput]!.dtype === "int32" ? "ids" : "oneHot",
      });
    const isCausal = (decoderInput: number, output: number): boolean => {
      try {
        handle.inspectDecoder(JSON.stringify(request(decoderInput, output)));
        return true;
      } catch (error) {
        if (error instanceof SconceError && error.code === "GRAPH") return false;
        throw error;
      }
    };
    const roles = findRoles(border, choices, sizes, isCausal);
    // The error names the layer that looks ahead.
    handle.inspectDecoder(JSON.stringify(request(roles.decoderInput, roles.output)));
    return new Seq2Seq(model, new PairEncoder(source, target, frame, sourceEnd), roles);
  }

  /**
   * Several translators as one: every token is chosen by the mean of the probabilities that they give to it. Their tokenizers of the target
   * must have the same tokens; those of the source may differ.
   *
   * @param translators - At least one; the same one may come twice. They go on to be usable by themselves.
   * @param options - Weights, and which mean.
   * @throws OptionError if an option is wrong, or if the translators do not fit each other.
   *
   * @example
   * ```ts
   * import { Seq2Seq } from "sconce";
   *
   * const translators = [await Seq2Seq.load("runs/seed-1"), await Seq2Seq.load("runs/seed-2")];
   * const [best] = await Seq2Seq.ensemble(translators).generate(["How are you?"], { numBeams: 5 });
   * ```
   */
  static ensemble(translators: readonly Seq2Seq[], options: EnsembleOptions = {}): Seq2SeqEnsemble {
    if (!Array.isArray(translators) || translators.some((one) => !(one instanceof Seq2Seq))) {
      throw new OptionError("Seq2Seq.ensemble: expected a list of translators");
    }
    const all = (translators as readonly Seq2Seq[]).map((one) => {
      return { model: one.model, encoder: one.#encoder, roles: one.#roles };
    });
    return new Seq2SeqEnsemble(all, options);
  }

  /**
   * Reads a folder that {@link Seq2Seq.save} wrote, or the best model of a run of `sconce train`.
   *
   * @param path - The folder of the model, or that of the run.
   * @param options - How its weights are kept.
   * @throws FileError if it cannot be read; FormatError if a file in it is damaged or does not fit the others.
   */
  static async load(path: string, options: LoadOptions = {}): Promise<Seq2Seq> {
    const folder = await modelFolder(path);
    const model = await loadModel<Model>(folder, options);
    try {
      const text = await readFile(join(folder, seq2seqFile), "utf8").catch((error: unknown) => {
        throw fromFile("cannot read", join(folder, seq2seqFile), error);
      });
      const { source, target, choices, begin, end, sourceEnd } = readSeq2SeqDocument(text);
      const { vocabulary } = target;
      return Seq2Seq.fromModel({
        model,
        source,
        target,
        ...choices,
        beginToken: vocabulary.token(begin),
        endToken: vocabulary.token(end),
        sourceEnd,
      });
    } catch (error) {
      model.dispose();
      if (error instanceof SconceError && (error.code === "OPTION" || error.code === "GRAPH")) {
        throw new FormatError(`${folder}: ${seq2seqFile} does not fit the model: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  /**
   * Trains with teacher forcing: the decoder reads the begin token and the target, and learns to give the next token at each
   * position. Pairs of similar length make a batch. Padding is masked; a model without a mask gets weights that keep it out of
   * the loss, while its encoder reads it and its metrics count it, as in Keras.
   *
   * @param pairs - What is learnt.
   * @param options - Batches, epochs, validation and the rest.
   * @returns The losses and metrics of each epoch.
   * @throws OptionError if an option is wrong; DataError if there are no pairs; what `Model.fit` throws.
   */
  async fit(pairs: Pairs, options: Seq2SeqFitOptions = {}): Promise<History> {
    const checked = checkFit(options);
    const { seed, maxLength, batches, validation, generation, keepIds, passed } = checked;
    const cutting = cuttingOf(checked, this);
    compileFor(this.model, this.#roles, options, seed);
    const { signal } = options;
    await this.model.build({ seed, ...(signal === undefined ? {} : { signal }) });
    const training = await this.#batches("fit", pairs, { ...batches, seed }, maxLength, signal, keepIds, cutting);
    if (validation === undefined) return this.model.fit(training, passed);
    const where = "fit: validation";
    const all = validation instanceof Dataset ? validation : textOf(where, validation);
    const validationData = await this.#batches(where, all, batches, maxLength, signal);
    if (generation === undefined) return this.model.fit(training, { ...passed, validationData });
    // First, so that the other callbacks can watch what it logs.
    const generated = new GeneratedValidation(generation, () =>
      this.#translations(where, all, { ...generation, maxLength }),
    );
    return this.model.fit(training, { ...passed, validationData, callbacks: [generated, ...(passed.callbacks ?? [])] });
  }

  /**
   * Loss, perplexity and accuracy over all target tokens with their end tokens, the share of pairs whose translation is the
   * reference, and metrics of text such as BLEU.
   *
   * @param pairs - Pairs with references.
   * @param options - Batches, what is wanted, signal.
   * @throws StateError if the model is not compiled; DataError if there are no pairs.
   */
  async evaluate(pairs: Pairs, options: Seq2SeqEvaluateOptions = {}): Promise<Evaluation> {
    const checked = checkEvaluate(options);
    const { batchSize, maxLength, signal, decoding } = checked;
    // A list that can be run through only once is run through twice.
    const all = pairs instanceof Dataset ? pairs : textOf("evaluate", pairs);
    const encoded = await this.#encoder.dataset("evaluate", all, maxLength, signal);
    // Without a mask padding would be read by the encoder and counted by metrics.
    const batches = this.#roles.masked
      ? encoded.bucketByLength({ batchSize, length: lengthOf }, (items) => [...items])
      : await equalLengths(encoded, batchSize);
    const { model, source, target } = this;
    const subject = { model, roles: this.#roles, decoder: this.#decoder, source, target };
    const limit = Number.POSITIVE_INFINITY;
    return evaluated(
      checked,
      (wanted) => evaluateBatches(subject, batches, wanted),
      () => this.#translations("evaluate", all, { decoding, maxLength, limit }),
    );
  }

  /**
   * Translates: by default with the most probable token at each step, with options by beam search or sampling as in Hugging Face's
   * `generate`. Calls that are made while another is decoded are decoded together where their options are the same; each gets what
   * it would get alone.
   *
   * @param texts - Any texts; an empty or blank one gives the empty text with score 0.
   * @param options - Search, limits, signal.
   * @returns One result for each text, in their order.
   * @throws OptionError if an option is wrong, contradicts another or leaves no token to choose; DataError if an item is no string.
   */
  async generate(texts: readonly string[], options: TranslateOptions = {}): Promise<Generation[]> {
    return translateTexts(this.#decoder, texts, options);
  }

  /**
   * Translates a text and gives the translation in pieces while it is made.
   *
   * In beam search a piece comes when all sequences that may still be the best one begin with it. The text is decoded by itself,
   * beside those of other calls.
   *
   * @param text - Any text.
   * @param options - Search, limits, signal.
   * @returns Pieces which together are the text that {@link Seq2Seq.generate} gives.
   * @throws OptionError if an option is wrong; DataError if `text` is no string.
   */
  stream(
    text: string,
    options: Omit<TranslateOptions, "batchSize" | "numReturnSequences"> = {},
  ): AsyncGenerator<string, void, undefined> {
    return streamTranslation(this.#decoder, text, options);
  }

  /**
   * The log-probabilities of given targets: how probable the model thinks they are. They are those of the whole distribution of
   * each next token, the padding included.
   *
   * @param pairs - Sources with targets; a pair in which the source is blank is scored like any other.
   * @param options - Batches, signal.
   * @returns One result for each pair, in their order.
   * @throws OptionError if an option is wrong or these are no pairs; DataError if a side is no string.
   */
  async score(pairs: Exclude<Pairs, Dataset<TextPair>>, options: ScoreOptions = {}): Promise<ScoredTarget[]> {
    return scoreTranslations(this.#decoder, this.#encoder, pairs, options);
  }

  /**
   * Writes the model, its tokenizers and, if it is compiled, the state of its optimiser as a folder, atomically.
   *
   * @param folder - Where; an earlier model in that place is replaced.
   * @param options - Further files of the folder.
   * @throws FileError if something cannot be written; StateError if the model is not built.
   */
  async save(folder: string, options: SaveOptions = {}): Promise<void> {
    const { encoderInput, decoderInput, output } = this.#roles;
    const { frame, sourceEnd } = this.#encoder;
    const { begin, end } = frame;
    const document: Seq2SeqDocument = {
      format: "sconce-seq2seq",
      version: 1,
      source: this.source.toJSON(),
      target: this.target.toJSON(),
      encoderInput,
      decoderInput,
      output,
      begin,
      end,
      ...(sourceEnd ? {} : { sourceEnd }),
    };
    const extraFiles = { ...options.extraFiles, [seq2seqFile]: `${JSON.stringify(document)}\n` };
    await this.model.save(folder, { ...options, extraFiles });
  }

  /** How decoding treats each layer: computed once, for each token alone, or with what it carries along. @internal */
  decoderNodes(): { layer: string; treatment: string }[] {
    const json = this.model.handle().inspectDecoder(JSON.stringify(inspectionOf(this.#decoder.request())));
    return (JSON.parse(json) as { nodes: { layer: string; treatment: string }[] }).nodes;
  }

  /** Frees the model; it cannot be used afterwards. */
  dispose(): void {
    this.model.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #translations(
    where: string,
    pairs: Pairs,
    how: Pick<TranslationRequest, "decoding" | "maxLength" | "limit">,
  ): Promise<Translations> {
    return translations(where, pairs, { ...how, encoder: this.#encoder, decoder: this.#decoder });
  }

  /** Pairs as padded batches. */
  async #batches(
    where: string,
    pairs: Pairs,
    options: { batchSize?: number; batchTokens?: number; seed?: number },
    maxLength: number | undefined,
    signal: AbortSignal | undefined,
    keepIds = false,
    cutting?: RandomCutting,
  ): Promise<Dataset<DataBatch>> {
    const streamed = await this.#encoder.dataset(where, pairs, maxLength, signal, cutting);
    const encoded = keepIds && pairs instanceof Dataset ? await this.#encoder.kept(where, streamed, signal) : streamed;
    return encoded.bucketByLength({ ...options, length: lengthOf }, (items) => this.#batch(items));
  }

  #batch(items: readonly EncodedPair[]): DataBatch {
    const sizes = { source: this.source.vocabulary.size, target: this.target.vocabulary.size };
    return batchOf(items, this.#roles, sizes);
  }
}

/** Files may have special tokens elsewhere or not at all. */
function checkSpecials(where: string, name: string, { vocabulary }: Tokenizer): void {
  if (vocabulary.padding > 0) {
    const token = JSON.stringify(vocabulary.token(vocabulary.padding));
    throw new OptionError(`${where}: padding ${token} of ${name} must have id 0, got ${vocabulary.padding}`);
  }
  if (vocabulary.end < 0) {
    throw new OptionError(`${where}: ${name} has no end token; name it with the option end of Tokenizer.load`);
  }
}

function tokenId(tokenizer: Tokenizer, option: string, token: string): number {
  if (!tokenizer.vocabulary.has(token)) {
    throw new OptionError(
      `Seq2Seq.fromModel: ${option} ${JSON.stringify(token)} is not in the vocabulary of the target`,
    );
  }
  return tokenizer.vocabulary.id(token);
}
