/** The native addon as src/native.ts sees it; docs/native-interface.d.ts explains each part. */

/** A size, or the symbol of an unknown dimension; the batch is `"batch"`. */
export type Dimension = number | string;

/** What the elements of a tensor are. */
export type DataType = "float32" | "int32";

/** A typed array with its shape. */
export interface Batch {
  data: Float32Array | Int32Array;
  shape: number[];
}

/** One training or test step. */
export interface StepRequest {
  inputs: Batch[];
  /** `Int32Array`: ids; `Float32Array`: probabilities. */
  targets: Batch[];
  /** `[B]` or `[B, T]` for each output. */
  sampleWeights: (Batch | null)[];
  learningRate: number;
  /** `false`: accumulate gradients only. */
  update: boolean;
  gradientScale: number;
}

/** Sums of one metric over the valid entries of a batch. */
export interface MetricSums {
  total: number;
  count: number;
}

/** What a step gives. */
export interface StepResult {
  /** Sum of the weighted losses. */
  loss: number;
  outputs: { loss: number; metrics: MetricSums[] }[];
  /** Valid target entries. */
  tokens: number;
  /** Compute time. */
  milliseconds: number;
}

/** What `NativeModel.generate` gives. */
export interface GenerateResult {
  ids: Int32Array;
  lengths: Int32Array;
  scores: Float32Array;
  maxLength: number;
}

/** What `readGlove` gives. */
export interface GloveResult {
  matrix: Float32Array;
  found: Uint8Array;
  dimension: number;
}

/** Values for a weight whose initialiser is `provided`. */
export interface ProvidedWeight {
  layer: string;
  weight: string;
  data: Float32Array;
}

export interface NativeLayer {
  setTrainable(trainable: boolean): void;
}

export interface NativeCancel {
  cancel(): void;
}

export interface NativeModel {
  describe(): string;
  build(seed: number, provided: ProvidedWeight[]): Promise<void>;
  getWeights(): Promise<Float32Array[]>;
  setWeights(weights: Float32Array[]): Promise<void>;
  predict(inputs: Batch[], cancel?: NativeCancel): Promise<Batch[]>;
  generate(requestJson: string, inputs: Batch[], cancel?: NativeCancel): Promise<GenerateResult>;
  inspectDecoder(requestJson: string): string;
  saveWeights(path: string, metadataJson: string): Promise<void>;
  loadWeights(path: string): Promise<void>;
  compile(compileJson: string): NativeTrainer;
  dispose(): void;
}

export interface NativeTrainer {
  trainOnBatch(request: StepRequest, cancel?: NativeCancel): Promise<StepResult>;
  testOnBatch(request: StepRequest, cancel?: NativeCancel): Promise<StepResult>;
  iterations(): number;
  /** Forgets gradients that were accumulated since the last update. */
  resetGradients(): Promise<void>;
  saveState(path: string): Promise<void>;
  loadState(path: string): Promise<void>;
  dispose(): void;
}

/** All exports of the addon. */
export interface NativeAddon {
  environment(): string;
  inferLayer(layerJson: string, inputsJson: string): string;
  NativeLayer: new (name: string, weightsJson: string) => NativeLayer;
  NativeCancel: new () => NativeCancel;
  NativeModel: new (documentJson: string, layers: NativeLayer[], backend: string) => NativeModel;
  readGlove(path: string, words: string[], dimension: number, cancel?: NativeCancel): Promise<GloveResult>;
  syncFile(path: string): Promise<void>;
  shuffle(seed: number, epoch: number, length: number): Uint32Array;
}
