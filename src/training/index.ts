export type { ArrayInput, NestedNumbers } from "./array-input.ts";
export { testOnBatch, trainOnBatch } from "./batch.ts";
export { BackupAndRestore, type BackupOptions, backupAndRestore } from "./callbacks/backup-and-restore.ts";
export type { Callback, CallbackResult, CallbackState, TrainParameters } from "./callbacks/callback.ts";
export { CsvLogger, type CsvLoggerOptions, csvLogger } from "./callbacks/csv-logger.ts";
export { EarlyStopping, type EarlyStoppingOptions, earlyStopping } from "./callbacks/early-stopping.ts";
export {
  GenerationSamples,
  type GenerationSamplesOptions,
  generationSamples,
  type TextGenerator,
} from "./callbacks/generation-samples.ts";
export { LearningRateScheduler, learningRateSchedule } from "./callbacks/learning-rate-schedule.ts";
export {
  ModelCheckpoint,
  type ModelCheckpointOptions,
  modelCheckpoint,
  type Savable,
} from "./callbacks/model-checkpoint.ts";
export type { MonitorMode } from "./callbacks/monitor.ts";
export { ReduceLrOnPlateau, type ReduceLrOptions, reduceLrOnPlateau } from "./callbacks/reduce-lr-on-plateau.ts";
export { TensorBoard, type TensorBoardOptions, tensorBoard } from "./callbacks/tensor-board.ts";
export { TerminateOnNaN, terminateOnNaN } from "./callbacks/terminate-on-nan.ts";
export type { ClassWeight } from "./class-weight.ts";
export type { BatchData, ModelData, SampleWeights, TrainingData, ValidationData } from "./data.ts";
export { evaluate } from "./evaluate.ts";
export { fit } from "./fit.ts";
export type { History, Logs } from "./history.ts";
export type { MixedPrecision } from "./mixed-precision.ts";
export type {
  BatchOptions,
  EvaluateOptions,
  FitOptions,
  PassOptions,
  PredictOptions,
  StepsOptions,
  Verbosity,
} from "./options.ts";
export { type Predictable, type Prediction, predict } from "./predict.ts";
export type { ProgressEvent } from "./progress.ts";
export { type StepsData, steps, type TrainingStep } from "./steps.ts";
export type { LearningRate, MetricReading, TensorSpecification, Trainable, TrainedOutput } from "./trainable.ts";
