import { OptionError } from "../errors.ts";
import { batchSource, bindArrays, isBatchData, type ModelData, type TrainingData } from "./data.ts";
import type { Logs } from "./history.ts";
import { takesTarget } from "./names.ts";
import { checkPassOptions, type EvaluateOptions } from "./options.ts";
import { Progress, surroundings } from "./progress.ts";
import { allColumns, arraySource, type BatchSource, rowCount } from "./source.ts";
import { testPass } from "./test-pass.ts";
import type { Trainable } from "./trainable.ts";

/**
 * Losses and metrics of a model on data.
 *
 * @param model - Compiled.
 * @param x - Inputs: arrays, or data in batches with inputs and targets.
 * @param y - Targets, or the options if `x` are data in batches.
 * @param options - How many rows a step, how far, and who is told.
 * @returns `loss` (the mean over the batches weighted by their rows, as in Keras) and the metrics, by the names of the history.
 * @throws ShapeError, DataError or OptionError if the data or options are wrong; StateError if the model is not compiled;
 *   `signal.reason` after an abort.
 */
export async function evaluate(
  model: Trainable,
  x: TrainingData,
  y?: ModelData | EvaluateOptions | null,
  options?: EvaluateOptions,
): Promise<Logs & { loss: number }> {
  const batched = isBatchData(x);
  if (batched && options === undefined && y !== undefined && y !== null) {
    return evaluate(model, x, null, y as EvaluateOptions);
  }
  const settings = options ?? {};
  checkPassOptions("evaluate", settings, ["sampleWeight"]);
  settings.signal?.throwIfAborted();
  const source = await sourceOf(model, x, y, settings);
  const progress = new Progress("evaluate", settings, 0, surroundings());
  await model.build(settings.signal === undefined ? {} : { signal: settings.signal });
  try {
    const tally = await testPass(model, source, settings.steps, 0, progress, settings.signal);
    const logs = tally.values();
    const seconds = progress.elapsedSeconds;
    progress.close();
    progress.finish(logs, 0, seconds > 0 ? tally.tokens / seconds : 0, seconds);
    return { ...logs, loss: logs.loss! };
  } catch (error) {
    progress.abandon();
    throw error;
  }
}

async function sourceOf(model: Trainable, x: TrainingData, y: unknown, options: EvaluateOptions): Promise<BatchSource> {
  const outputs = model.trainedOutputs.filter(takesTarget);
  if (isBatchData(x)) {
    if (y !== undefined && y !== null) {
      throw new OptionError("evaluate: data in batches hold their targets: leave the second argument out");
    }
    if (options.sampleWeight !== undefined) {
      throw new OptionError("evaluate: sampleWeight works on arrays only; put sampleWeights into the batches");
    }
    return batchSource(x, options.batchSize, model.inputSpecifications, outputs);
  }
  const arrays = await bindArrays(model.inputSpecifications, outputs, x, y, options.sampleWeight);
  return arraySource(arrays, [0, rowCount(allColumns(arrays))], options.batchSize ?? 32, undefined, undefined);
}
