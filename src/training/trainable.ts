import type { ModelHandle, TrainerHandle } from "../native.ts";
import type { DataType, Dimension } from "../native-interface.ts";
import type { MixedPrecision } from "./mixed-precision.ts";

/** What a model says of one of its inputs or outputs. */
export interface TensorSpecification {
  /** Name of the layer that makes it. */
  readonly name: string;
  /** Its shape, the batch first; a string is an unknown size. */
  readonly shape: readonly Dimension[];
  /** Type of its elements. */
  readonly dtype: DataType;
}

/** An output of a compiled model. */
export interface TrainedOutput extends TensorSpecification {
  /** Factor of its loss in the total, or `null` if it has no loss. */
  readonly lossWeight: number | null;
  /** Names of its metrics as given to `compile`, in the order of the native step's `metrics`, such as `"accuracy"`. */
  readonly metrics: readonly MetricReading[];
  /** Its metrics in which sample weights have a part; they come after the others in the native step's `metrics`. Default none. */
  readonly weightedMetrics?: readonly MetricReading[];
}

/** How sums of a metric become the number that is shown. */
export interface MetricReading {
  /** In camelCase, such as `"accuracy"` or `"perplexity"`. */
  readonly name: string;
  /** The value for sums over all batches so far; most are `total / count`. */
  read(total: number, count: number): number;
}

/** The part of an optimiser that training loops and callbacks see. */
export interface LearningRate {
  /** Sets a constant learning rate, or reads the current constant one; reading throws a StateError while a schedule decides. */
  learningRate: number;
  /** Learning rate of step `iteration`, counted from 0. */
  at(iteration: number): number;
  /** Whether weights are averaged over the steps; `fit` then ends with the averages as the weights. */
  readonly useEma?: boolean;
}

/** What the training loop (`src/training`) needs of a compiled model; `Model` implements it. */
export interface Trainable {
  readonly name: string;
  readonly inputSpecifications: readonly TensorSpecification[];
  /** @throws StateError if the model is not compiled. */
  readonly trainedOutputs: readonly TrainedOutput[];
  /** @throws StateError if the model is not compiled. */
  readonly optimizer: LearningRate;
  /** What steps of training and tests are computed in. */
  mixedPrecision: MixedPrecision;
  /** Set by callbacks to end `fit` after the current epoch. */
  stopTraining: boolean;
  /** Makes the weights that do not exist yet. */
  build(options?: { seed?: number; signal?: AbortSignal }): Promise<void>;
  /** Whether layers carry states from batch to batch; default `false`. */
  readonly stateful?: boolean;
  /** Makes those states zeros; there if `stateful`. */
  resetStates?(): Promise<void>;
  /** @throws StateError if the model is disposed of. @internal */
  handle(): ModelHandle;
  /** The native trainer with losses, metrics and optimiser state. @throws StateError if the model is not compiled. @internal */
  trainer(): TrainerHandle;
  getWeights(): Promise<{ data: Float32Array; shape: readonly number[] }[]>;
  setWeights(weights: readonly { data: Float32Array; shape: readonly number[] }[]): Promise<void>;
  /** Writes the whole model as a folder, atomically. */
  save(folder: string): Promise<void>;
  /** Writes the weights alone as a safetensors file, atomically. */
  saveWeights(path: string): Promise<void>;
  loadWeights(path: string, options?: { format?: "sconce" }): Promise<void>;
}

/** Makes the states that layers carry from batch to batch zeros, if there are any. */
export async function resetStates(model: Trainable): Promise<void> {
  if (model.stateful === true) await model.resetStates?.();
}
