/** The only module that imports the native addon: checks arguments, converts errors, ties signals to native cancellation. */
import * as addonModule from "../index.js";
import { DataError, fromNative, OptionError } from "./errors.ts";
import type {
  Batch,
  EncodedResult,
  EncodeSettings,
  GenerateResult,
  GloveResult,
  NativeAddon,
  NativeCancel,
  NativeLayer,
  NativeModel,
  NativeTokenizer,
  NativeTokenizerTrainer,
  NativeTrainer,
  ProvidedWeight,
  SearchStep,
  StepRequest,
  StepResult,
  TargetScores,
} from "./native-interface.ts";
import type { WeightType } from "./saving/weight-type.ts";

let addon: NativeAddon = addonModule;

/**
 * Replaces the addon, for tests of this side alone.
 *
 * @internal
 */
export function replaceAddon(replacement: NativeAddon): void {
  addon = replacement;
}

/** Facts about the native addon and the machine it runs on. */
export interface Environment {
  /** Version of the addon. */
  version: string;
  /** Instruction set that the kernels use: `"scalar"`, `"avx2"`, `"avx512"` or `"neon"`; `SCONCE_SIMD` forces one. */
  simd: string;
  /** Instruction sets that this machine can run. */
  simdAvailable: string[];
  /** Whether `mixedPrecision: "bfloat16"` is possible: the CPU has `avx512_bf16`, and `simd` is `"avx512"`. */
  bfloat16: boolean;
  /** Compute threads; `SCONCE_THREADS` sets them, default all cores. */
  threads: number;
  /** Memory allocator of the addon. */
  allocator: string;
}

/**
 * Facts about the native addon and the machine it runs on.
 *
 * @returns Version, instruction sets and thread count.
 */
export function environment(): Environment {
  return JSON.parse(guard(() => addon.environment())) as Environment;
}

function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

async function guardAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromNative(error);
  }
}

/** Runs a call that `signal` cancels; the rejection is then `signal.reason`. */
async function cancellable<T>(
  signal: AbortSignal | undefined,
  call: (cancel: NativeCancel | undefined) => Promise<T>,
  given?: NativeCancel,
): Promise<T> {
  if (signal === undefined) return guardAsync(() => call(undefined));
  signal.throwIfAborted();
  const cancel = given ?? guard(() => new addon.NativeCancel());
  const abort = () => cancel.cancel();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await call(cancel);
  } catch (error) {
    const failure = fromNative(error);
    throw failure.code === "CANCELLED" && signal.aborted ? signal.reason : failure;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A seed as the addon takes it. */
export function checkSeed(seed: number): number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new OptionError(`seed: expected an integer from 0 to 2^53 - 1, got ${seed}`);
  }
  return seed;
}

function checkBatch(batch: Batch): void {
  let size = 1;
  for (const dimension of batch.shape) {
    if (!Number.isInteger(dimension) || dimension < 0 || dimension > 0xffffffff) {
      throw new DataError(`shape [${batch.shape.join(", ")}]: ${dimension} is not a size`);
    }
    size *= dimension;
  }
  if (batch.data.length !== size) {
    const detached = batch.data.buffer.byteLength === 0 && size > 0 ? " (its buffer was transferred away)" : "";
    throw new DataError(
      `an array of shape [${batch.shape.join(", ")}] needs ${size} values, got ${batch.data.length}${detached}`,
    );
  }
}

/** {@link NativeAddon.inferLayer}. */
export function inferLayer(layerJson: string, inputsJson: string, callJson?: string): string {
  return guard(() => addon.inferLayer(layerJson, inputsJson, callJson));
}

/** The weights of one layer, owned by the addon. */
export class LayerHandle {
  readonly native: NativeLayer;

  constructor(name: string, weightsJson: string) {
    this.native = guard(() => new addon.NativeLayer(name, weightsJson));
  }

  setTrainable(trainable: boolean): void {
    guard(() => this.native.setTrainable(trainable));
  }
}

let natives: (handles: readonly ModelHandle[]) => NativeModel[];

/** A compiled graph over the weights of its layers, owned by the addon. */
export class ModelHandle {
  readonly #native: NativeModel;

  static {
    natives = (handles) => handles.map((handle) => handle.#native);
  }

  constructor(documentJson: string, layers: readonly LayerHandle[], backend: string) {
    const handles = layers.map((layer) => layer.native);
    this.#native = guard(() => new addon.NativeModel(documentJson, handles, backend));
  }

  describe(): string {
    return guard(() => this.#native.describe());
  }

  resetStates(): Promise<void> {
    return guardAsync(() => this.#native.resetStates());
  }

  saveStates(path: string): Promise<void> {
    return guardAsync(() => this.#native.saveStates(path));
  }

  loadStates(path: string): Promise<void> {
    return guardAsync(() => this.#native.loadStates(path));
  }

  build(seed: number, provided: ProvidedWeight[]): Promise<void> {
    return guardAsync(() => this.#native.build(checkSeed(seed), provided));
  }

  getWeights(): Promise<Float32Array[]> {
    return guardAsync(() => this.#native.getWeights());
  }

  setWeights(weights: Float32Array[]): Promise<void> {
    return guardAsync(() => this.#native.setWeights(weights));
  }

  async predict(inputs: Batch[], signal: AbortSignal | undefined): Promise<Batch[]> {
    inputs.forEach(checkBatch);
    return cancellable(signal, (cancel) => this.#native.predict(inputs, cancel));
  }

  async alignment(decoderInput: number, inputs: Batch[], signal: AbortSignal | undefined): Promise<Batch> {
    inputs.forEach(checkBatch);
    return cancellable(signal, (cancel) => this.#native.alignment(decoderInput, inputs, cancel));
  }

  /** `others`: models that generate together with this one. */
  async generate(
    requestJson: string,
    inputs: Batch[],
    signal: AbortSignal | undefined,
    others: readonly ModelHandle[] = [],
  ): Promise<GenerateResult> {
    inputs.forEach(checkBatch);
    return cancellable(signal, (cancel) => this.#native.generate(requestJson, inputs, natives(others), cancel));
  }

  /**
   * A search that is gone on with step by step: after the first step, which generates nothing, `allowed` gives the ids that may
   * follow each sequence, if there are constraints.
   */
  async *search(
    requestJson: string,
    inputs: Batch[],
    options: {
      /** How many tokens the next step makes, of those that are there. */
      tokens: (made: number) => number;
      allowed?: (sentence: number, prefix: Int32Array) => Int32Array;
      signal: AbortSignal | undefined;
      others?: readonly ModelHandle[];
    },
  ): AsyncGenerator<SearchStep, void, undefined> {
    inputs.forEach(checkBatch);
    const { tokens, allowed, signal, others = [] } = options;
    const cancel = guard(() => new addon.NativeCancel());
    const constrained = allowed !== undefined;
    const search = guard(() => this.#native.search(requestJson, inputs, natives(others), constrained, cancel));
    let lists: Int32Array[] = [];
    for (let made = 0, next = allowed === undefined ? tokens(0) : 0; ; next = tokens(made)) {
      const step = await cancellable(signal, () => search.step(next, lists), cancel);
      made += next;
      yield step;
      if (step.result !== undefined) return;
      if (allowed !== undefined) {
        lists = step.prefixes.map((prefix, place) => allowed(step.sentences[place]!, prefix));
      }
    }
  }

  async scoreTargets(
    requestJson: string,
    inputs: Batch[],
    targets: readonly Int32Array[],
    signal: AbortSignal | undefined,
    others: readonly ModelHandle[] = [],
  ): Promise<TargetScores[]> {
    inputs.forEach(checkBatch);
    const all = await cancellable(signal, (cancel) =>
      this.#native.scoreTargets(requestJson, inputs, [...targets], natives(others), cancel),
    );
    let end = 0;
    return targets.map(({ length }) => {
      end += length;
      const own = <Values extends Float32Array | Int32Array>(values: Values) =>
        values.subarray(end - length, end) as Values;
      return { logProbabilities: own(all.logProbabilities), best: own(all.best) };
    });
  }

  inspectDecoder(requestJson: string): string {
    return guard(() => this.#native.inspectDecoder(requestJson));
  }

  saveWeights(path: string, metadataJson: string): Promise<void> {
    return guardAsync(() => this.#native.saveWeights(path, metadataJson));
  }

  loadWeights(path: string, dtype: WeightType = "float32"): Promise<void> {
    return guardAsync(() => this.#native.loadWeights(path, dtype === "float32" ? undefined : dtype));
  }

  compile(compileJson: string): TrainerHandle {
    return new TrainerHandle(guard(() => this.#native.compile(compileJson)));
  }

  dispose(): void {
    guard(() => this.#native.dispose());
  }
}

/** Losses, metrics and optimiser state of a compiled model, owned by the addon. */
export class TrainerHandle {
  readonly #native: NativeTrainer;

  constructor(native: NativeTrainer) {
    this.#native = native;
  }

  async trainOnBatch(request: StepRequest, signal: AbortSignal | undefined): Promise<StepResult> {
    checkRequest(request);
    return cancellable(signal, (cancel) => this.#native.trainOnBatch(request, cancel));
  }

  async testOnBatch(request: StepRequest, signal: AbortSignal | undefined): Promise<StepResult> {
    checkRequest(request);
    return cancellable(signal, (cancel) => this.#native.testOnBatch(request, cancel));
  }

  iterations(): number {
    return guard(() => this.#native.iterations());
  }

  resetGradients(): Promise<void> {
    return guardAsync(() => this.#native.resetGradients());
  }

  finalizeVariableValues(): Promise<void> {
    return guardAsync(() => this.#native.finalizeVariableValues());
  }

  saveState(path: string): Promise<void> {
    return guardAsync(() => this.#native.saveState(path));
  }

  loadState(path: string): Promise<void> {
    return guardAsync(() => this.#native.loadState(path));
  }

  dispose(): void {
    guard(() => this.#native.dispose());
  }
}

function checkRequest(request: StepRequest): void {
  request.inputs.forEach(checkBatch);
  request.targets.forEach(checkBatch);
  for (const weights of request.sampleWeights) if (weights !== null) checkBatch(weights);
  if (!Number.isFinite(request.learningRate)) {
    throw new OptionError(`learningRate: expected a finite number, got ${request.learningRate}`);
  }
}

/** A tokenizer, owned by the addon. */
export class TokenizerHandle {
  readonly #native: NativeTokenizer;

  constructor(native: NativeTokenizer) {
    this.#native = native;
  }

  /** Of the text of a `tokenizer.json`. */
  static parse(document: string, namesJson: string): TokenizerHandle {
    return new TokenizerHandle(guard(() => new addon.NativeTokenizer(document, namesJson)));
  }

  /** Of all tokens of a word or character tokenizer. */
  static ofTokens(optionsJson: string, tokens: readonly string[]): TokenizerHandle {
    return new TokenizerHandle(guard(() => addon.NativeTokenizer.ofTokens(optionsJson, tokens as string[])));
  }

  static async load(paths: string[], format: string, namesJson: string): Promise<TokenizerHandle> {
    return new TokenizerHandle(await guardAsync(() => addon.NativeTokenizer.load(paths, format, namesJson)));
  }

  describe(): string {
    return guard(() => this.#native.describe());
  }

  document(): string {
    return guard(() => this.#native.document());
  }

  tokenize(text: string): string[] {
    return guard(() => this.#native.tokenize(text));
  }

  encode(text: string, settings: EncodeSettings): Int32Array {
    return guard(() => this.#native.encode(text, settings));
  }

  encodeSpans(text: string, settings: EncodeSettings): Int32Array {
    return guard(() => this.#native.encodeSpans(text, settings));
  }

  decode(ids: Int32Array, language?: string): string {
    return guard(() => this.#native.decode(ids, language));
  }

  encodeBatch(texts: string[], settings: EncodeSettings, signal: AbortSignal | undefined): Promise<EncodedResult> {
    return cancellable(signal, (cancel) => this.#native.encodeBatch(texts, settings, cancel));
  }

  decodeBatch(
    ids: Int32Array,
    offsets: Int32Array,
    language: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string[]> {
    return cancellable(signal, (cancel) => this.#native.decodeBatch(ids, offsets, language, cancel));
  }
}

/** Training of a tokenizer, owned by the addon. */
export class TokenizerTrainerHandle {
  readonly #native: NativeTokenizerTrainer;

  constructor(optionsJson: string) {
    this.#native = guard(() => new addon.NativeTokenizerTrainer(optionsJson));
  }

  add(texts: string[], signal: AbortSignal | undefined): Promise<void> {
    return cancellable(signal, (cancel) => this.#native.add(texts, cancel));
  }

  /** Tokens so far. */
  tokens(): number {
    return guard(() => this.#native.progress())[0] ?? 0;
  }

  async finish(signal: AbortSignal | undefined): Promise<TokenizerHandle> {
    return new TokenizerHandle(await cancellable(signal, (cancel) => this.#native.finish(cancel)));
  }
}

/** {@link NativeAddon.readGlove}: one row a word, in the order of `words`. */
export function readGlove(
  path: string,
  words: string[],
  dimension: number,
  signal?: AbortSignal,
): Promise<GloveResult> {
  return cancellable(signal, (cancel) => addon.readGlove(path, words, dimension, cancel));
}

/** {@link NativeAddon.countTexts}. */
export function countTexts(
  metrics: readonly object[],
  systems: readonly (readonly string[])[],
  references: readonly string[],
  counts: Uint32Array,
): Float64Array[] {
  const lists = systems.map((hypotheses) => [...hypotheses]);
  return guard(() => addon.countTexts(JSON.stringify(metrics), lists, [...references], counts));
}

/** {@link NativeAddon.queueTexts}. */
export function queueTexts(
  metrics: readonly object[],
  systems: readonly (readonly string[])[],
  references: readonly string[],
  counts: Uint32Array,
  signal: AbortSignal | undefined,
): Promise<Float64Array[]> {
  const json = JSON.stringify(metrics);
  const lists = systems.map((hypotheses) => [...hypotheses]);
  return cancellable(signal, (cancel) => addon.queueTexts(json, lists, [...references], counts, cancel));
}

/** {@link NativeAddon.sampleSums}. */
export function sampleSums(
  rows: Float64Array,
  width: number,
  seed: number,
  first: number,
  samples: number,
): Float64Array {
  return guard(() => addon.sampleSums(rows, width, checkSeed(seed), first, samples));
}

/** {@link NativeAddon.queueSampleSums}. */
export function queueSampleSums(
  rows: Float64Array,
  width: number,
  seed: number,
  first: number,
  samples: number,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  return cancellable(signal, (cancel) => addon.queueSampleSums(rows, width, checkSeed(seed), first, samples, cancel));
}

/** {@link NativeAddon.detokenizeWords}. */
export function detokenizeWords(tokens: string[], language: string, unescapes: boolean): string {
  return guard(() => addon.detokenizeWords(tokens, language, unescapes));
}

/** {@link NativeAddon.segmentChinese}. */
export function segmentChinese(text: string, newWords: boolean): string[] {
  return guard(() => addon.segmentChinese(text, newWords));
}

/** {@link NativeAddon.chrfScore}. */
export function chrfScore(optionsJson: string, sums: Float64Array): number {
  return guard(() => addon.chrfScore(optionsJson, sums));
}

/** Makes the content of a file, or the entries of a folder, durable. */
export function syncFile(path: string): Promise<void> {
  return guardAsync(() => addon.syncFile(path));
}

/** The permutation of `0..length` that belongs to a seed and an epoch. */
export function shuffle(seed: number, epoch: number, length: number): Uint32Array {
  return guard(() => addon.shuffle(checkSeed(seed), epoch, length));
}
