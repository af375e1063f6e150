// Contract of the native addon (crates/node), the only thing that src/native.ts imports. Everything is checked in TypeScript first;
// native errors carry `code` (see codes below) and a message that names layer/expected/got.
// Codes: SHAPE, OPTION, GRAPH, DATA, FILE (io), FORMAT (corrupt file), STATE (disposed, not built), LIMIT (memory budget), CANCELLED, NAN, INTERNAL (caught panic).

export interface Batch { data: Float32Array | Int32Array; shape: number[] }   // copied at the call

export function inferLayer(layerJson: string, inputsJson: string): string
// layerJson: { name, type, trainable, options } ; inputsJson: { shape: Dimension[], dtype, masked: boolean }[]
// returns { outputs: { shape, dtype, masked }[], weights: { name, shape: number[], initializer, trainable }[], equal: [symbol, symbol][] }
// throws SHAPE / OPTION

export class NativeLayer { constructor(name: string, weightsJson: string); setTrainable(trainable: boolean): void }
// weightsJson: inferLayer(...).weights (or [] for layers without weights)

export class NativeCancel { constructor(); cancel(): void }

export class NativeModel {
  constructor(documentJson: string, layers: NativeLayer[], backend: string)      // backend "cpu" | "candle"; layers parallel to document.layers
  describe(): string        // { inputs: {name, shape, dtype}[], outputs: {shape, dtype, masked}[], weights: { layer, name, shape, trainable, built }[] } , weights in Keras' order
  build(seed: number, provided: { layer: string; weight: string; data: Float32Array }[]): Promise<void>   // only weights not built yet
  getWeights(): Promise<Float32Array[]>           // in describe().weights order, Keras layouts; STATE if not built
  setWeights(weights: Float32Array[]): Promise<void>
  predict(inputs: Batch[], cancel?: NativeCancel): Promise<Batch[]>     // one batch
  generate(requestJson: string, inputs: Batch[], cancel?: NativeCancel): Promise<{ ids: Int32Array; lengths: Int32Array; scores: Float32Array; maxLength: number }>
  // greedy. request: { decoderInput: number (index in document.inputs), output: number, beginId, endId: number[], padId, maxNewTokens, feed: "ids"|"oneHot", recompute: boolean };
  // inputs: all model inputs but the decoder's, in order. ids [B, maxLength] without begin, end included if reached, padded with padId. scores: sum of log-probabilities.
  inspectDecoder(requestJson: string): string     // { nodes: { layer, treatment: "once"|"pointwise"|"recurrent"|"causal" }[] }, or throws GRAPH naming the node that is not causal
  saveWeights(path: string, metadataJson: string): Promise<void>    // safetensors, names `layer/weight`, Keras layouts; temporary name, fsync, rename
  loadWeights(path: string): Promise<void>                          // FORMAT on anything wrong, nothing changed then
  compile(compileJson: string): NativeTrainer
  dispose(): void
}
// compileJson: { optimizer: { type: "sgd"|"rmsprop"|"adam"|"adamw", learningRate, ...Keras' options in camelCase, clipnorm?, clipvalue?, globalClipnorm?, sparse?: boolean },
//   outputs: ({ loss: { type: "categoricalCrossentropy"|"sparseCategoricalCrossentropy", fromLogits, labelSmoothing, ignoreClass: number|null, weight: number } | null,
//               metrics: { type: "accuracy"|"categoricalAccuracy"|"sparseCategoricalAccuracy"|"binaryAccuracy"|"perplexity", threshold?: number }[] })[], seed: number }

export interface StepRequest {
  inputs: Batch[]; targets: Batch[]; sampleWeights: (Batch | null)[];   // targets: Int32Array = ids, Float32Array = probabilities; sample weights [B] or [B, T]
  learningRate: number;     // of this step
  update: boolean;          // false: accumulate gradients only
  gradientScale: number;    // 1, or 1 / accumulateSteps
}
export interface StepResult {
  loss: number;             // total: sum of weighted losses
  outputs: { loss: number; metrics: { total: number; count: number }[] }[];  // loss: mean over valid entries; metric totals and counts over valid entries of this batch
  tokens: number;           // valid target entries
  milliseconds: number;     // compute time
}
export class NativeTrainer {
  trainOnBatch(request: StepRequest, cancel?: NativeCancel): Promise<StepResult>
  testOnBatch(request: StepRequest, cancel?: NativeCancel): Promise<StepResult>
  iterations(): number
  resetGradients(): Promise<void>                // forgets gradients accumulated since the last update
  saveState(path: string): Promise<void>         // optimiser slots, iteration, seed; atomic
  loadState(path: string): Promise<void>
  dispose(): void
}

export function readGlove(path: string, words: string[], dimension: number, cancel?: NativeCancel): Promise<{ matrix: Float32Array; found: Uint8Array; dimension: number }>
// dimension 0: take the file's. Rows of words not found are 0.
export function syncFile(path: string): Promise<void>    // fsync of a file or folder
export function shuffle(seed: number, epoch: number, length: number): Uint32Array   // seeded permutation (Philox), sync
export function environment(): string      // { version, simd, simdAvailable: string[], threads, allocator }
