import { DataError, OptionError, StateError } from "../errors.ts";
import { BackupAndRestore } from "./callbacks/backup-and-restore.ts";
import { CallbackList } from "./callbacks/callback-list.ts";
import { TerminateOnNaN } from "./callbacks/terminate-on-nan.ts";
import { Checkpoint, type SavedRun } from "./checkpoint.ts";
import { classWeights } from "./class-weight.ts";
import {
  type BatchData,
  batchSource,
  bindArrays,
  isBatchData,
  type ModelData,
  type TrainingData,
  type ValidationData,
  validationArrays,
} from "./data.ts";
import { beginTraining } from "./exclusive.ts";
import type { History } from "./history.ts";
import { takesTarget } from "./names.ts";
import { checkFitOptions, type FitOptions } from "./options.ts";
import { Progress, surroundings } from "./progress.ts";
import { randomSeed } from "./random-seed.ts";
import { Run } from "./run.ts";
import { allColumns, arraySource, type BatchSource, rowCount } from "./source.ts";
import type { TensorSpecification, Trainable } from "./trainable.ts";

const defaultBatchSize = 32;

/**
 * Trains a model, as Keras' `fit` does.
 *
 * @param model - Compiled.
 * @param x - Inputs: arrays, judged before training, or data in batches with inputs and targets. Arrays must not change before
 *   the promise settles.
 * @param y - Targets, or the options if `x` are data in batches.
 * @param options - How long, on what, and who is told.
 * @returns The values of each epoch.
 * @throws ShapeError, DataError or OptionError if the data or options are wrong; StateError if the model is not compiled or is
 *   being trained already; NaNLossError if the loss is not a finite number (Keras goes on there), after the callbacks'
 *   `onTrainEnd`; `signal.reason` after an abort; what a callback throws. The model can be used after any of these.
 */
export async function fit(
  model: Trainable,
  x: TrainingData,
  y?: ModelData | FitOptions | null,
  options?: FitOptions,
): Promise<History> {
  const batched = isBatchData(x);
  if (batched && options === undefined && y !== undefined && y !== null) return fit(model, x, null, y as FitOptions);
  const settings = options ?? {};
  checkFitOptions(settings);
  if (batched && y !== undefined && y !== null) {
    throw new OptionError("fit: data in batches hold their targets: leave the second argument out");
  }
  settings.signal?.throwIfAborted();
  const end = beginTraining(model, "fit");
  try {
    if (settings.mixedPrecision !== undefined) model.mixedPrecision = settings.mixedPrecision;
    return await train(model, x, y as ModelData | undefined, settings);
  } finally {
    end();
  }
}

async function train(model: Trainable, x: TrainingData, y: unknown, options: FitOptions): Promise<History> {
  const { signal, callbacks = [] } = options;
  const outputs = model.trainedOutputs.filter(takesTarget);
  const list = new CallbackList(callbacks, model);
  const backup = backupOf(callbacks);
  const saved = backup === undefined ? undefined : await Checkpoint.read(backup.folder);
  const seed = seedOf(options, saved);
  const [source, validation] = await sources(model.inputSpecifications, outputs, x, y, options, seed);
  const accumulateSteps = options.accumulateSteps ?? 1;
  const checkpoint =
    backup === undefined
      ? undefined
      : new Checkpoint(backup, model, {
          ...source.identity,
          stepsPerEpoch: options.stepsPerEpoch ?? null,
          accumulateSteps,
        });
  if (checkpoint !== undefined && !source.resumable) {
    throw new StateError(
      "fit: backupAndRestore cannot resume on a plain iterable: use arrays, a list of batches or a Dataset of a list",
    );
  }
  const epochs = options.epochs ?? (options.maxUpdates === undefined ? 1 : Number.POSITIVE_INFINITY);
  const progress = new Progress("fit", options, epochs, surroundings());
  await model.build(signal === undefined ? {} : { signal });
  if (saved !== undefined) await checkpoint!.load(saved);
  const run = new Run({
    model,
    source,
    validation,
    callbacks: list,
    checkpoint,
    progress,
    signal,
    epochs,
    maxUpdates: options.maxUpdates ?? Number.POSITIVE_INFINITY,
    initialEpoch: options.initialEpoch ?? 0,
    stepsPerEpoch: options.stepsPerEpoch,
    validationSteps: options.validationSteps,
    validationFreq: options.validationFreq ?? 1,
    accumulateSteps,
    toleratesNaN: callbacks.some((callback) => callback instanceof TerminateOnNaN),
  });
  try {
    const history = await run.run(saved?.state);
    progress.close();
    await checkpoint?.finish();
    return history;
  } finally {
    if (accumulateSteps > 1) await forgetGradients(model);
  }
}

/** Keeps gradients of a group that the end of a run cut short from leaking into the next update. */
async function forgetGradients(model: Trainable): Promise<void> {
  try {
    await model.trainer().resetGradients();
  } catch {
    // Disposed of: there are none.
  }
}

function backupOf(callbacks: readonly unknown[]): BackupAndRestore | undefined {
  const backups = callbacks.filter((callback) => callback instanceof BackupAndRestore);
  if (backups.length > 1) throw new OptionError("fit: there can be one backupAndRestore among the callbacks");
  return backups[0];
}

/** The seed of the order: given, or that of the interrupted run, or a new one. */
function seedOf(options: FitOptions, saved: SavedRun | undefined): number {
  const before = saved?.identity.seed;
  return options.seed ?? (typeof before === "number" ? before : randomSeed());
}

type Specifications = readonly TensorSpecification[];

async function sources(
  inputs: Specifications,
  outputs: Specifications,
  x: TrainingData,
  y: unknown,
  options: FitOptions,
  seed: number,
): Promise<[source: BatchSource, validation: BatchSource | undefined]> {
  const batchSize = options.batchSize ?? defaultBatchSize;
  const validationSize = options.validationBatchSize ?? batchSize;
  const weights = options.classWeight === undefined ? undefined : classWeights("fit", options.classWeight);
  if (weights !== undefined && outputs.length !== 1) {
    throw new OptionError(`fit: classWeight is for models with one output, this one has ${outputs.length}`);
  }
  const given = options.validationData;
  if (isBatchData(x)) {
    checkBatched(options);
    const source = await batchSource(x, options.batchSize, inputs, outputs, weights);
    const examples = options.validationBatchSize ?? options.batchSize;
    return [source, await validationSource(inputs, outputs, given, examples, validationSize)];
  }
  const arrays = await bindArrays(inputs, outputs, x, y, options.sampleWeight);
  const rows = rowCount(allColumns(arrays));
  const shuffleSeed = options.shuffle === false ? undefined : seed;
  const trained = trainedRows(rows, options.validationSplit);
  const source = arraySource(arrays, [0, trained], batchSize, shuffleSeed, weights);
  if (trained < rows) return [source, arraySource(arrays, [trained, rows], validationSize, undefined, undefined)];
  return [source, await validationSource(inputs, outputs, given, options.validationBatchSize, validationSize)];
}

/** Rows that train: all but the last part. */
function trainedRows(rows: number, split: number | undefined): number {
  if (split === undefined) return rows;
  if (split <= 0 || split >= 1) {
    throw new OptionError(`fit: validationSplit must lie above 0 and below 1, got ${split}`);
  }
  const trained = Math.floor(rows * (1 - split));
  if (trained === 0 || trained === rows) {
    throw new DataError(`fit: validationSplit ${split} of ${rows} rows leaves a part empty`);
  }
  return trained;
}

function checkBatched(options: FitOptions): void {
  if (options.validationSplit !== undefined) {
    throw new OptionError(
      "fit: validationSplit works on arrays only; pass validationData, for a Dataset a part made with dataset.split",
    );
  }
  if (options.sampleWeight !== undefined) {
    throw new OptionError("fit: sampleWeight works on arrays only; put sampleWeights into the batches");
  }
  if (options.shuffle === true) {
    throw new OptionError("fit: shuffle works on arrays only; use dataset.shuffle(seed)");
  }
}

async function validationSource(
  inputs: Specifications,
  outputs: Specifications,
  data: ValidationData | undefined,
  examples: number | undefined,
  batchSize: number,
): Promise<BatchSource | undefined> {
  if (data === undefined) return undefined;
  if (isBatchData(data) && !isPair(data)) return batchSource(data, examples, inputs, outputs);
  const [x, y, sampleWeight] = validationArrays(data as Exclude<ValidationData, BatchData>);
  if (isBatchData(x)) throw new OptionError("fit: validationData: pass data in batches alone, without a list around");
  const arrays = await bindArrays(inputs, outputs, x, y, sampleWeight);
  return arraySource(arrays, [0, rowCount(allColumns(arrays))], batchSize, undefined, undefined);
}

/** Whether an array is `[x, y]` and no list of batches. */
function isPair(data: BatchData): boolean {
  if (!Array.isArray(data)) return false;
  const first: unknown = data[0];
  return !(typeof first === "object" && first !== null && "targets" in first);
}
