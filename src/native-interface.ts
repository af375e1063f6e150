/**
 * The native addon as src/native.ts sees it. The compiler holds it against index.d.ts, which is generated from crates/node;
 * the JSON that crosses is described here. Everything is checked in TypeScript before it is passed on. Errors of the addon
 * carry a `code` (`ErrorCode` of errors.ts, but `NAN`, which only the training loop gives) and a message that names the
 * layer, what was expected and what came. Promises are settled in any case: a panic rejects with `INTERNAL`.
 */

/** A size, or the symbol of an unknown dimension; the batch is `"batch"`. */
export type Dimension = number | string;

/** What the elements of a tensor are. */
export type DataType = "float32" | "int32";

/** A typed array with its shape; copied when a call is made. */
export interface Batch {
  data: Float32Array | Int32Array;
  shape: number[];
}

/** One training or test step. */
export interface StepRequest {
  inputs: Batch[];
  /** `Int32Array`: ids; `Float32Array`: a number for each element. */
  targets: Batch[];
  /** For each output the first axes of its rows: `[B]`, `[B, T]`, ... */
  sampleWeights: (Batch | null)[];
  /** Of this step. */
  learningRate: number;
  /** `false`: accumulate gradients only. */
  update: boolean;
  /** Factor of the gradients of this batch: 1, or 1 / `accumulateSteps`. */
  gradientScale: number;
  /** Whether the factors of large products are rounded to bfloat16. */
  bfloat16: boolean;
}

/** Sums of one metric over the valid entries of a batch. */
export interface MetricSums {
  total: number;
  count: number;
}

/** What a step gives. */
export interface StepResult {
  /** Sum of the weighted losses and of the penalties of weights. */
  loss: number;
  /** For each output its mean loss over valid entries, and the sums of its metrics, those without sample weights first. */
  outputs: { loss: number; metrics: MetricSums[] }[];
  /** Valid target entries. */
  tokens: number;
  /** Compute time, without waiting. */
  milliseconds: number;
}

/** What `NativeModel.generate` gives: N sequences, those of a row of the inputs one after the other, the best first. */
export interface GenerateResult {
  /** `[N, maxLength]`, without the first token, the end included where it was reached, padded with `padId`. */
  ids: Int32Array;
  /** `[N]`, the end included. */
  lengths: Int32Array;
  /** `[N]`: sums of log-probabilities, in beam search divided by a power of the length. */
  scores: Float32Array;
  /** `[N, maxLength]`: of each token; 0 behind the end. */
  logProbabilities: Float32Array;
  /** `[B]`: sequences of each row. */
  counts: Int32Array;
  maxLength: number;
}

/** What a step of a `NativeSearch` gives. */
export interface SearchStep {
  /** Tokens of the first row that will not change any more. */
  stable: Int32Array;
  /** Of a search with constraints: rows of the inputs, one for each sequence that is gone on with. */
  sentences: Int32Array;
  /** What these sequences have so far behind the first token. */
  prefixes: Int32Array[];
  /** What was found, after the last step. */
  result?: GenerateResult;
}

/** A search that is gone on with step by step. */
export interface NativeSearch {
  /** Goes on by so many tokens, or to the end; `allowed`: the ids that may follow each of the prefixes of the step before. */
  step(tokens: number, allowed: Int32Array[]): Promise<SearchStep>;
}

/** What `readGlove` gives. */
export interface GloveResult {
  /** `[words, dimension]`; rows of words that were not found are 0. */
  matrix: Float32Array;
  /** 1 for each word that was found. */
  found: Uint8Array;
  dimension: number;
}

/** What `NativeTokenizer.encodeBatch` gives. */
export interface EncodedResult {
  ids: Int32Array;
  /** Where each text begins in `ids`, and the end of the last. */
  offsets: Int32Array;
}

/** How texts are encoded. */
export interface EncodeSettings {
  /** The ids before and after each text; -1 for none. */
  begin: number;
  end: number;
  /** Most ids of a text, these included; -1 for no limit. */
  longest: number;
  /** Whether what is too many is taken from the beginning. */
  keepEnd: boolean;
  /** Probability (byte pairs) or exponent (unigram) of cutting at random; -1 for none. */
  amount: number;
  seed: number;
  /** Number of the first text: what is drawn depends on seed and number. */
  first: number;
}

/** Turns text into ids and ids into text. */
export interface NativeTokenizer {
  /** JSON: `{ type, lowercase, tokens: string[], padding, unknown, begin, end, canSample }`; -1: no such token. */
  describe(): string;
  /** The text of its `tokenizer.json`. */
  document(): string;
  tokenize(text: string): string[];
  encode(text: string, settings: EncodeSettings): Int32Array;
  /** Ids, then two places of the text for each. */
  encodeSpans(text: string, settings: EncodeSettings): Int32Array;
  decode(ids: Int32Array, language?: string): string;
  encodeBatch(texts: string[], settings: EncodeSettings, cancel?: NativeCancel): Promise<EncodedResult>;
  decodeBatch(
    ids: Int32Array,
    offsets: Int32Array,
    language: string | undefined,
    cancel?: NativeCancel,
  ): Promise<string[]>;
}

/** Counts the words of texts, then learns a vocabulary. */
export interface NativeTokenizerTrainer {
  add(texts: string[], cancel?: NativeCancel): Promise<void>;
  /** Tokens so far, and at most. */
  progress(): number[];
  finish(cancel?: NativeCancel): Promise<NativeTokenizer>;
}

/** Values for a weight whose initialiser is `provided`. */
export interface ProvidedWeight {
  layer: string;
  weight: string;
  /** In Keras' layout. */
  data: Float32Array;
}

/** The weights of a layer, shared by all models that contain it. */
export interface NativeLayer {
  /** Whether models that are compiled from now on train it. */
  setTrainable(trainable: boolean): void;
}

/** Cancels the call that it was given to; the call rejects with `CANCELLED`. */
export interface NativeCancel {
  cancel(): void;
}

/** What a model thinks of given tokens. */
export interface TargetScores {
  /** Their log-probabilities. */
  logProbabilities: Float32Array;
  /** The most probable token in the place of each. */
  best: Int32Array;
}

/** A graph over the weights of its layers. */
export interface NativeModel {
  /**
   * JSON: `{ inputs: { name, shape, dtype, masked }[], outputs: { name, shape, dtype, masked }[], weights: { layer, name, shape,
   * trainable, built }[] }`, the weights layer by layer in the document's order.
   */
  describe(): string;
  /** Makes the weights that have no values yet. */
  build(seed: number, provided: ProvidedWeight[]): Promise<void>;
  /** In the order of `describe`, in Keras' layouts; `STATE` if there are none yet. */
  getWeights(): Promise<Float32Array[]>;
  setWeights(weights: Float32Array[]): Promise<void>;
  /** Forgets the states that stateful layers carry from batch to batch, in the order of calls. */
  resetStates(): Promise<void>;
  /** Writes the states that they had at the last update, whole or not at all. */
  saveStates(path: string): Promise<void>;
  /** `FORMAT` if anything is wrong with the file; nothing changes then. */
  loadStates(path: string): Promise<void>;
  /** The outputs for one batch. */
  predict(inputs: Batch[], cancel?: NativeCancel): Promise<Batch[]>;
  /**
   * Generates by a request (JSON of `GenerationRequest`), alone or together with `others`, which take turns with it as one family from
   * then on; `inputs` are all of the models' but the decoders', in order, model after model.
   */
  generate(requestJson: string, inputs: Batch[], others: NativeModel[], cancel?: NativeCancel): Promise<GenerateResult>;
  /** The same as a search that is gone on with step by step; `constrained`: each step is told which tokens are allowed. */
  search(
    requestJson: string,
    inputs: Batch[],
    others: NativeModel[],
    constrained: boolean,
    cancel?: NativeCancel,
  ): NativeSearch;
  /**
   * Log-probabilities of the tokens of given targets, one for each row, row after row, and the most probable token in the place of each, of
   * the model alone or together with `others`. Of the request only what says how the models are read counts.
   */
  scoreTargets(
    requestJson: string,
    inputs: Batch[],
    targets: Int32Array[],
    others: NativeModel[],
    cancel?: NativeCancel,
  ): Promise<TargetScores>;
  /**
   * Shares of the source's steps for each step of the decoder's input, `[B, T, S]`, for one batch of all inputs: of the last
   * attention of what depends on that input to what does not, the mean over heads. `GRAPH` if there is none.
   */
  alignment(decoderInput: number, inputs: Batch[], cancel?: NativeCancel): Promise<Batch>;
  /**
   * JSON: `{ nodes: { layer, treatment: "once" | "pointwise" | "recurrent" }[] }`; `GRAPH` with the name of the layer if the
   * decoder looks ahead.
   */
  inspectDecoder(requestJson: string): string;
  /** Writes safetensors named `layer/weight` in Keras' layouts, whole or not at all; the metadata is an object of strings. */
  saveWeights(path: string, metadataJson: string): Promise<void>;
  /** `FORMAT` if anything is wrong with the file; nothing changes then. `dtype`: `"bfloat16"` or `"int8"`, to keep matrices in fewer bits. */
  loadWeights(path: string, dtype?: string): Promise<void>;
  /**
   * JSON: `{ optimizer: { type: OptimizerName, learningRate, ...Keras' options, clipnorm?, clipvalue?, globalClipnorm?, useEma?,
   * emaMomentum?, emaOverwriteFrequency?, gradientAccumulationSteps?, excludeFromWeightDecay?: { varList, varNames }, sparse? },
   * outputs: { loss: { type, ...options, weight } | null, metrics: { type, name?, ...options }[], weightedMetrics }[], seed }`, where
   * types and options are those of `src/losses` and `src/metrics`; type `"graph"` has a `graph` (docs/graph.md) of target and
   * output with one result.
   */
  compile(compileJson: string): NativeTrainer;
  /** Ends the model: calls that wait or run reject with `STATE`, weights that no other model has are freed. */
  dispose(): void;
}

/** Losses, metrics and optimiser state of a compiled model. */
export interface NativeTrainer {
  trainOnBatch(request: StepRequest, cancel?: NativeCancel): Promise<StepResult>;
  /** Losses and metrics; nothing changes. */
  testOnBatch(request: StepRequest, cancel?: NativeCancel): Promise<StepResult>;
  /** Steps so far; with `gradientAccumulationSteps` several make an update. */
  iterations(): number;
  /** Forgets gradients that were accumulated since the last update. */
  resetGradients(): Promise<void>;
  /** Replaces each trained weight by its average over the steps, if the optimiser keeps averages. */
  finalizeVariableValues(): Promise<void>;
  /** Writes the optimiser's state, the count of updates and the seed, whole or not at all. */
  saveState(path: string): Promise<void>;
  /** `FORMAT` if anything is wrong with the file; nothing changes then. */
  loadState(path: string): Promise<void>;
  dispose(): void;
}

/** All exports of the addon. */
export interface NativeAddon {
  /** JSON: `{ version, simd, simdAvailable: string[], bfloat16: boolean, threads, allocator }`. */
  environment(): string;
  /**
   * Shapes of a layer call. JSON of the layer (`docs/graph.md`), of its inputs, `{ shape, dtype, masked }[]`, and of what the
   * call says besides, in; out comes
   * `{ outputs: { shape, dtype, masked }[], weights: { name, shape, initializer, trainable }[], equal: [dimension, dimension][] }`.
   */
  inferLayer(layerJson: string, inputsJson: string, callJson?: string): string;
  /** Its weights are those that `inferLayer` gave, as JSON. */
  NativeLayer: new (
    name: string,
    weightsJson: string,
  ) => NativeLayer;
  NativeCancel: new () => NativeCancel;
  /** Of a document (`docs/graph.md`) over layers in the same order; the backend is `"cpu"` or `"candle"`. */
  NativeModel: new (
    documentJson: string,
    layers: NativeLayer[],
    backend: string,
  ) => NativeModel;
  /** Vectors of words from a plain or gzip file; dimension 0 takes the file's. */
  readGlove(path: string, words: string[], dimension: number, cancel?: NativeCancel): Promise<GloveResult>;
  /** Text of a `tokenizer.json`, and JSON of the names of special tokens: `{ padding?, unknown?, begin?, end? }`. */
  NativeTokenizer: {
    new (document: string, namesJson: string): NativeTokenizer;
    /** One file, or for `gpt2` two, of the format `tokenizerJson`, `sentencePiece`, `wordPiece`, `wordPieceCased` or `gpt2`. */
    load(paths: string[], format: string, namesJson: string): Promise<NativeTokenizer>;
    /** Words or characters of a saved model: JSON of `TrainingOptions`, and all tokens by id. */
    ofTokens(optionsJson: string, tokens: string[]): NativeTokenizer;
  };
  /**
   * JSON: `{ type: "word" | "character" | "bpe" | "wordPiece" | "unigram", vocabularySize: number | null, minimumCount, specialTokens: string[], lowercase,
   * normalization: "none" | "nfc" | "nfd" | "nfkc" | "nfkd", byteLevel }`.
   */
  NativeTokenizerTrainer: new (
    optionsJson: string,
  ) => NativeTokenizerTrainer;
  /**
   * What texts have in common with references: for each metric, and of it for each system, `[hypotheses, width]`, row by row;
   * hypothesis i of each has the next `counts[i]` references. JSON: `({ bleu } | { chrf } | { ter } | { rouge })[]`, each with its options, as in `src/metrics`.
   */
  countTexts(metricsJson: string, systems: string[][], references: string[], counts: Uint32Array): Float64Array[];
  /** The same on the compute threads. */
  queueTexts(
    metricsJson: string,
    systems: string[][],
    references: string[],
    counts: Uint32Array,
    cancel?: NativeCancel,
  ): Promise<Float64Array[]>;
  /**
   * Sums of the rows `[segments, width]` of samples with the numbers from `first` on, `[samples, width]`: each is of as many segments as there
   * are, drawn with replacement by seed and number.
   */
  sampleSums(rows: Float64Array, width: number, seed: number, first: number, samples: number): Float64Array;
  /** The same on the compute threads. */
  queueSampleSums(
    rows: Float64Array,
    width: number,
    seed: number,
    first: number,
    samples: number,
    cancel?: NativeCancel,
  ): Promise<Float64Array>;
  /** The text of words and marks by the rules of a language. */
  detokenizeWords(tokens: string[], language: string, unescapes: boolean): string;
  /** The words of a Chinese text. */
  segmentChinese(text: string, newWords: boolean): string[];
  /** chrF from 0 to 100 of summed statistics; JSON of its options. */
  chrfScore(optionsJson: string, sums: Float64Array): number;
  /** Makes the content of a file, or the entries of a folder, durable. */
  syncFile(path: string): Promise<void>;
  /** The permutation of `0..length` that belongs to a seed and an epoch. */
  shuffle(seed: number, epoch: number, length: number): Uint32Array;
}
