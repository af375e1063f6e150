/**
 * sconce: define, train, evaluate and run encoder-decoder language models.
 *
 * @packageDocumentation
 */

export type {
  AxisOptions,
  Constraint,
  ConstraintName,
  ConstraintOption,
  MaxNormOptions,
  MinMaxNormOptions,
} from "./constraints/constraint.ts";
export * as constraints from "./constraints/index.ts";
export type { Cursor } from "./data/blocks.ts";
export type { BucketOptions } from "./data/bucketing.ts";
export { type SegmentChineseOptions, segmentChinese } from "./data/chinese.ts";
export { Dataset, type ShuffleOptions } from "./data/dataset.ts";
export { DatasetIterator, type DatasetPosition } from "./data/dataset-iterator.ts";
export { type DetokenizeOptions, detokenize } from "./data/detokenize.ts";
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
  type DecodeOptions,
  type EncodeBatchOptions,
  type EncodedSpans,
  type EncodeOptions,
  type LoadTokenizerOptions,
  type MergesFiles,
  type Normalization,
  type SpecialTokenNames,
  type StatisticsOptions,
  type SubwordSampling,
  Tokenizer,
  type TokenizerDocument,
  type TokenizerFormat,
  type TokenizerOptions,
  type TokenizerProgress,
  type TokenizerType,
  type TrainedTokenizerType,
} from "./data/tokenizer.ts";
export type { Texts } from "./data/tokenizers/blocks.ts";
export type { FileTokenizerDocument, WordTokenizerDocument } from "./data/tokenizers/document.ts";
export { EncodedTexts } from "./data/tokenizers/encoded.ts";
export type { TokenStatistics } from "./data/tokenizers/statistics.ts";
export { type SpecialIds, Vocabulary, type VocabularyOptions } from "./data/vocabulary.ts";
export type { GeneratedSequence, GenerateOptions, Generation } from "./decoding/options.ts";
export type { ScoredTarget, ScoreOptions } from "./decoding/score.ts";
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
export type { ActivityRegularizerDocument, ActivityRegularizerOption } from "./layers/activity-regularizer.ts";
export type { AdditiveAttentionOptions } from "./layers/additive-attention.ts";
export type { AttentionLayer, AttentionOptions, ScoreMode } from "./layers/attention.ts";
export type { AttentionCallOptions, AttentionOutputs } from "./layers/attention-call.ts";
export type {
  AttentionForm,
  AttentionRnnCallOptions,
  AttentionRnnLayer,
  AttentionRnnListLayer,
  AttentionRnnOptions,
  AttentionRnnUnionLayer,
} from "./layers/attention-rnn.ts";
export type {
  BidirectionalLayer,
  BidirectionalMergeMode,
  BidirectionalOptions,
  BidirectionalResult,
  BidirectionalStates,
  RecurrentLayer,
} from "./layers/bidirectional.ts";
export type { MaybeMask } from "./layers/custom/custom-layer.ts";
export {
  type CallContext,
  type DefinedLayer,
  defineLayer,
  type InputMasks,
  type LayerDefinition,
  type LayerInputs,
} from "./layers/custom/define-layer.ts";
export type { LambdaLayer, LambdaOptions } from "./layers/custom/lambda.ts";
export { type BuiltParts, type LayerParts, type WeightOptions, WeightRequest, weight } from "./layers/custom/parts.ts";
export type { DenseOptions } from "./layers/dense.ts";
export type { DotOptions } from "./layers/dot.ts";
export type { DropoutOptions } from "./layers/dropout.ts";
export type { EmbeddingLayer, EmbeddingOptions } from "./layers/embedding.ts";
export type { GlobalPoolingOptions } from "./layers/global-pooling.ts";
export type { GroupedQueryAttentionOptions } from "./layers/grouped-query-attention.ts";
export type {
  GruCallOptions,
  GruLayer,
  GruOptions,
  GruOutputs,
  GruStateLayer,
  GruUnionLayer,
} from "./layers/gru.ts";
export * as layers from "./layers/index.ts";
export { type InputOptions, input } from "./layers/input.ts";
export { Layer, type LayerOptions, type LayerWeight } from "./layers/layer.ts";
export type { LayerNormalizationOptions } from "./layers/layer-normalization.ts";
export type {
  LstmCallOptions,
  LstmLayer,
  LstmOptions,
  LstmOutputs,
  LstmStateLayer,
  LstmUnionLayer,
} from "./layers/lstm.ts";
export type { MaskingOptions } from "./layers/masking.ts";
export type { ConcatenateOptions, MergeLayer } from "./layers/merge.ts";
export type {
  MultiHeadAttentionCallOptions,
  MultiHeadAttentionLayer,
  MultiHeadAttentionOptions,
  ProjectedAttentionOptions,
} from "./layers/multi-head-attention.ts";
export type { PositionalEncodingOptions, PositionType } from "./layers/positional-encoding.ts";
export type { GatedOptions, RecurrentOptions } from "./layers/recurrent.ts";
export type {
  RelativePositionBiasLayer,
  RelativePositionBiasOptions,
  RelativePositionType,
} from "./layers/relative-position-bias.ts";
export type { RepeatVectorOptions } from "./layers/repeat-vector.ts";
export type { FlattenOptions, PermuteOptions, ReshapeOptions } from "./layers/reshaping.ts";
export type {
  ReversibleEmbeddingCall,
  ReversibleEmbeddingLayer,
  ReversibleEmbeddingOptions,
} from "./layers/reversible-embedding.ts";
export type { RmsNormalizationOptions } from "./layers/rms-normalization.ts";
export type {
  SimpleRnnCallOptions,
  SimpleRnnLayer,
  SimpleRnnOptions,
  SimpleRnnOutputs,
  SimpleRnnStateLayer,
  SimpleRnnUnionLayer,
} from "./layers/simple-rnn.ts";
export type { SoftmaxCallOptions, SoftmaxLayer, SoftmaxOptions } from "./layers/softmax.ts";
export type { StepLayer, TimeDistributedLayer, TimeDistributedOptions } from "./layers/time-distributed.ts";
export type {
  RotaryOrder,
  TransformerCallOptions,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  TransformerLayerOptions,
} from "./layers/transformer.ts";
export type {
  BetaRules,
  BiasRules,
  EmbeddingsRules,
  GammaRules,
  KernelRules,
  RecurrentRules,
} from "./layers/weight-rules.ts";
export type { WeightArray } from "./layers/weights.ts";
export type {
  BinaryCrossentropyOptions,
  CategoricalCrossentropyOptions,
  SparseCategoricalCrossentropyOptions,
} from "./losses/cross-entropy.ts";
export type { CustomLoss, CustomOptions, LossFunction } from "./losses/custom.ts";
export type { HuberOptions } from "./losses/elements.ts";
export * as losses from "./losses/index.ts";
export type { LabelSmoothing, LabelSmoothingDefinition, LabelSmoothingOptions } from "./losses/label-smoothing.ts";
export type { Loss, LossType } from "./losses/loss.ts";
export type { LossName } from "./losses/resolve.ts";
export type { PerplexityOptions, ThresholdOptions, TopKOptions } from "./metrics/accuracy.ts";
export {
  type AnsweredQuestion,
  type AnswerScores,
  type CmrcScores,
  cmrc,
  type Predictions,
  type SquadOptions,
  type SquadScores,
  squad,
  squadQuestions,
} from "./metrics/answers/answers.ts";
export type { BestThresholds, NoAnswerProbabilities } from "./metrics/answers/no-answer.ts";
export { type Bleu, bleu, sentenceBleu } from "./metrics/bleu/bleu.ts";
export type { BleuOptions, BleuSmoothing, BleuTokenizer } from "./metrics/bleu/options.ts";
export type { BleuScore } from "./metrics/bleu/score.ts";
export { type Chrf, type ChrfScore, chrf, sentenceChrf } from "./metrics/chrf/chrf.ts";
export type { ChrfOptions } from "./metrics/chrf/options.ts";
export * as metrics from "./metrics/index.ts";
export type { SparseCrossentropyMetricOptions } from "./metrics/losses.ts";
export type { Metric, MetricOptions, MetricType } from "./metrics/metric.ts";
export type { MetricName } from "./metrics/resolve.ts";
export {
  type Relevance,
  type RetrievalOptions,
  type RetrievalScores,
  type RetrievalValues,
  retrieval,
} from "./metrics/retrieval/retrieval.ts";
export type { RougeOptions, RougeTokenizer, RougeType, RougeWordOptions } from "./metrics/rouge/options.ts";
export {
  type AggregateRougeOptions,
  aggregateRouge,
  type Rouge,
  type RougeAggregate,
  type RougeByType,
  type RougeValues,
  rouge,
  sentenceRouge,
} from "./metrics/rouge/rouge.ts";
export type { TerOptions } from "./metrics/ter/options.ts";
export { sentenceTer, type Ter, type TerScore, ter } from "./metrics/ter/ter.ts";
export type { BootstrappedScore, Comparison } from "./metrics/text/bootstrap.ts";
export type { BootstrapOptions } from "./metrics/text/draws.ts";
export { type TextMetricName, type TextMetricOptions, textMetricNames } from "./metrics/text/metrics.ts";
export {
  compareStatistics,
  type PairedBootstrap,
  type PairedBootstrapOptions,
  pairedBootstrap,
} from "./metrics/text/paired-bootstrap.ts";
export { corpusPerplexity } from "./metrics/text/perplexity.ts";
export type { TextReferences } from "./metrics/text/references.ts";
export { type ScoreSystemsOptions, type SystemScores, scoreSystems } from "./metrics/text/score-systems.ts";
export { type ScoreTextsOptions, scoreTexts, type TextScore, type TextScores } from "./metrics/text/score-texts.ts";
export type { Scored } from "./metrics/text/text-metric.ts";
export type { CompileOptions, LossOption, MetricsOption } from "./models/compile.ts";
export { type ModelOptions, type MultiOutputModel, model, type SingleOutputModel } from "./models/define.ts";
export type { Documents } from "./models/language-model/blocks.ts";
export type {
  LanguageModelEvaluateOptions,
  LanguageModelEvaluation,
  LanguageModelFitOptions,
} from "./models/language-model/fit.ts";
export type { RecurrentLanguageModelOptions } from "./models/language-model/recurrent.ts";
export type { TransformerLanguageModelOptions } from "./models/language-model/transformer.ts";
export { LanguageModel, type LanguageModelOptions } from "./models/language-model.ts";
export { Model } from "./models/model.ts";
export type { BuildOptions, SaveOptions } from "./models/model-options.ts";
export { type AverageOptions, averageCheckpoints } from "./models/seq2seq/average.ts";
export type { Cell, SeqAttention } from "./models/seq2seq/cells.ts";
export { type EnsembleOptions, Seq2SeqEnsemble } from "./models/seq2seq/ensemble.ts";
export type { Evaluation, EvaluationMetric, Seq2SeqEvaluateOptions } from "./models/seq2seq/evaluate.ts";
export type { Seq2SeqFitOptions } from "./models/seq2seq/fit.ts";
export type { ValidationGenerationOptions, ValidationMetric } from "./models/seq2seq/generated-validation.ts";
export type { Pairs } from "./models/seq2seq/pairs.ts";
export type { TransformerPreset, TransformerPresetName, TransformerPresetOptions } from "./models/seq2seq/presets.ts";
export type { InputFeeding, RecurrentSeq2SeqOptions } from "./models/seq2seq/recurrent.ts";
export type { Feed, TensorChoice } from "./models/seq2seq/roles.ts";
export type { SubwordRegularization, SubwordRegularizationSide } from "./models/seq2seq/subword-regularization.ts";
export type { TiedEmbeddings, TransformerSeq2SeqOptions } from "./models/seq2seq/transformer.ts";
export type { TranslateOptions } from "./models/seq2seq/translate-options.ts";
export { Seq2Seq, type Seq2SeqOptions } from "./models/seq2seq.ts";
export type { SummaryOptions } from "./models/summary.ts";
export type { TransformerOptions, TransformerPositions } from "./models/transformer-parts.ts";
export { type Environment, environment } from "./native.ts";
export type { DataType, Dimension } from "./native-interface.ts";
export * as ops from "./ops/index.ts";
export * as optimizers from "./optimizers/index.ts";
export { adam, adamw, rmsprop, sgd } from "./optimizers/index.ts";
export type { Optimizer, OptimizerName, WeightDecayExclusions } from "./optimizers/optimizer.ts";
export type {
  AdadeltaOptions,
  AdafactorOptions,
  AdagradOptions,
  AdamOptions,
  BetasOptions,
  FtrlOptions,
  LearningRateOption,
  LionOptions,
  OptimizerOptions,
  RmspropOptions,
  SgdOptions,
} from "./optimizers/options.ts";
export * as regularizers from "./regularizers/index.ts";
export type {
  L1L2Options,
  L1Options,
  L2Options,
  OrthogonalRegularizerOptions,
  Regularizer,
  RegularizerName,
  RegularizerOption,
} from "./regularizers/regularizer.ts";
export type { LoadWeightsOptions } from "./saving/foreign/load.ts";
export type { TorchSource } from "./saving/foreign/pytorch.ts";
export { loadModel } from "./saving/load-model.ts";
export type { LoadOptions, WeightType } from "./saving/weight-type.ts";
export type { CosineDecayRestartsOptions } from "./schedules/cosine-decay-restarts.ts";
export * as schedules from "./schedules/index.ts";
export {
  cosineDecay,
  cosineDecayRestarts,
  exponentialDecay,
  inverseSqrt,
  inverseTimeDecay,
  linearWarmup,
  piecewiseConstant,
  polynomialDecay,
} from "./schedules/index.ts";
export type { InverseTimeDecayOptions } from "./schedules/inverse-time-decay.ts";
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
  type MixedPrecision,
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
  type SampleWeights,
  type Savable,
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
