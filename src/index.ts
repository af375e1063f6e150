/**
 * sconce: define, train, evaluate and run encoder-decoder language models.
 *
 * @packageDocumentation
 */

export type { BucketOptions } from "./data/bucketing.ts";
export { Dataset, DatasetIterator, type DatasetPosition, type ShuffleOptions } from "./data/dataset.ts";
export { type ArrayData, type DataBatch, type Example, type PadOptions, padSequences, stack } from "./data/example.ts";
export type { VocabularyLike } from "./data/glove.ts";
export {
  NdArray,
  type NdArrayOptions,
  type NestedArray,
  type NumberArray,
  ndarray,
} from "./data/ndarray.ts";
export { ParallelText, type SplitOptions, type TextPair } from "./data/parallel-text.ts";
export type { PairIterable } from "./data/readers/iterable.ts";
export {
  type ParallelTextFormat,
  type ParallelTextSource,
  type ReadParallelTextOptions,
  readParallelText,
  streamParallelText,
} from "./data/readers/parallel-text.ts";
export type { TokenBatchOptions } from "./data/token-batches.ts";
export {
  type DecodeBatchOptions,
  type EncodeBatchOptions,
  type EncodeOptions,
  type Normalization,
  type SpecialTokenNames,
  type StatisticsOptions,
  Tokenizer,
  type TokenizerDocument,
  type TokenizerOptions,
  type TokenizerProgress,
  type TokenizerType,
  type TrainedTokenizerType,
} from "./data/tokenizer.ts";
export { EncodedTexts } from "./data/tokenizers/encoded.ts";
export type { TokenStatistics } from "./data/tokenizers/statistics.ts";
export { type SpecialIds, Vocabulary, type VocabularyOptions } from "./data/vocabulary.ts";
export type { GenerateOptions, Generation } from "./decoding/options.ts";
export {
  DataError,
  type ErrorCode,
  FileError,
  FormatError,
  GraphError,
  InternalError,
  LimitError,
  NaNLossError,
  OptionError,
  SconceError,
  ShapeError,
  StateError,
} from "./errors.ts";
export { SymbolicTensor } from "./graph/tensor.ts";
export {
  type Coverage,
  type GloveInitializer,
  type GloveOptions,
  glove,
  type UnknownWords,
} from "./initializers/glove.ts";
export * as initializers from "./initializers/index.ts";
export type { Initializer } from "./initializers/initializer.ts";
export type { InitializerName } from "./initializers/resolve.ts";
export type {
  ConstantOptions,
  IdentityOptions,
  OrthogonalOptions,
  RandomNormalOptions,
  RandomUniformOptions,
  SeededOptions,
  VarianceScalingOptions,
} from "./initializers/rules.ts";
export type { ActivationOptions, UnaryLayer } from "./layers/activation.ts";
export type { ActivationName, ElementwiseActivationName } from "./layers/activation-name.ts";
export type { DenseOptions } from "./layers/dense.ts";
export type { DropoutOptions } from "./layers/dropout.ts";
export type { EmbeddingLayer, EmbeddingOptions } from "./layers/embedding.ts";
export * as layers from "./layers/index.ts";
export { type InputOptions, input } from "./layers/input.ts";
export { Layer, type LayerOptions, type LayerWeight } from "./layers/layer.ts";
export type {
  LstmCallOptions,
  LstmLayer,
  LstmOptions,
  LstmOutputs,
  LstmStateLayer,
  LstmUnionLayer,
} from "./layers/lstm.ts";
export type { ConcatenateOptions, MergeLayer } from "./layers/merge.ts";
export type { RepeatVectorOptions } from "./layers/repeat-vector.ts";
export type { WeightArray } from "./layers/weights.ts";
export * as losses from "./losses/index.ts";
export type {
  CategoricalCrossentropyOptions,
  Loss,
  LossName,
  SparseCategoricalCrossentropyOptions,
} from "./losses/loss.ts";
export * as metrics from "./metrics/index.ts";
export type { BinaryAccuracyOptions, Metric, MetricName } from "./metrics/metric.ts";
export type { CompileOptions, LossOption, MetricsOption } from "./models/compile.ts";
export { type ModelOptions, type MultiOutputModel, model, type SingleOutputModel } from "./models/define.ts";
export { type BuildOptions, Model, type SaveOptions } from "./models/model.ts";
export type { Evaluation } from "./models/seq2seq/evaluate.ts";
export type { Seq2SeqFitOptions } from "./models/seq2seq/fit.ts";
export type { Pairs } from "./models/seq2seq/pairs.ts";
export type { Feed, TensorChoice } from "./models/seq2seq/roles.ts";
export { Seq2Seq, type Seq2SeqEvaluateOptions, type Seq2SeqOptions } from "./models/seq2seq.ts";
export type { SummaryOptions } from "./models/summary.ts";
export { type Environment, environment } from "./native.ts";
export type { DataType, Dimension } from "./native-interface.ts";
export * as optimizers from "./optimizers/index.ts";
export { adam, adamw, rmsprop, sgd } from "./optimizers/index.ts";
export type {
  AdamOptions,
  LearningRateOption,
  Optimizer,
  OptimizerName,
  OptimizerOptions,
  RmspropOptions,
  SgdOptions,
} from "./optimizers/optimizer.ts";
export { loadModel } from "./saving/load-model.ts";
export type { CosineDecayRestartsOptions } from "./schedules/cosine-decay-restarts.ts";
export * as schedules from "./schedules/index.ts";
export {
  cosineDecay,
  cosineDecayRestarts,
  exponentialDecay,
  inverseSqrt,
  linearWarmup,
  piecewiseConstant,
  polynomialDecay,
} from "./schedules/index.ts";
export type { LinearWarmupOptions } from "./schedules/linear-warmup.ts";
export type { PolynomialDecayOptions } from "./schedules/polynomial-decay.ts";
export type {
  CosineDecayOptions,
  ExponentialDecayOptions,
  InverseSqrtOptions,
  PiecewiseConstantOptions,
  Schedule,
} from "./schedules/schedule.ts";
export {
  type ArrayInput,
  BackupAndRestore,
  type BackupOptions,
  type BatchData,
  type BatchOptions,
  backupAndRestore,
  type Callback,
  type CallbackResult,
  type CallbackState,
  type ClassWeight,
  CsvLogger,
  type CsvLoggerOptions,
  csvLogger,
  EarlyStopping,
  type EarlyStoppingOptions,
  type EvaluateOptions,
  earlyStopping,
  type FitOptions,
  GenerationSamples,
  type GenerationSamplesOptions,
  generationSamples,
  type History,
  type LearningRate,
  LearningRateScheduler,
  type Logs,
  learningRateSchedule,
  type MetricReading,
  ModelCheckpoint,
  type ModelCheckpointOptions,
  type ModelData,
  type MonitorMode,
  modelCheckpoint,
  type NestedNumbers,
  type PassOptions,
  type Prediction,
  type PredictOptions,
  type ProgressEvent,
  ReduceLrOnPlateau,
  type ReduceLrOptions,
  reduceLrOnPlateau,
  type StepsData,
  type StepsOptions,
  TensorBoard,
  type TensorBoardOptions,
  type TensorSpecification,
  TerminateOnNaN,
  type TextGenerator,
  type Trainable,
  type TrainedOutput,
  type TrainingData,
  type TrainingStep,
  type TrainParameters,
  tensorBoard,
  terminateOnNaN,
  type ValidationData,
  type Verbosity,
} from "./training/index.ts";
