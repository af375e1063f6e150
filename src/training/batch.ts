import { NaNLossError, OptionError } from "../errors.ts";
import type { StepResult } from "../native-interface.ts";
import { checkKeys, checkSignal } from "../options.ts";
import { classWeights, weighClasses } from "./class-weight.ts";
import { bindArrays, type ModelData } from "./data.ts";
import type { Logs } from "./history.ts";
import { takesTarget } from "./names.ts";
import type { BatchOptions } from "./options.ts";
import { allColumns, rowCount, type StepData, wholeArrays } from "./source.ts";
import { testRequest, updateRequest } from "./step-request.ts";
import { Tally } from "./tally.ts";
import type { Trainable } from "./trainable.ts";

/**
 * Trains on one batch.
 *
 * @param model - Compiled.
 * @param x - Inputs of the batch.
 * @param y - Targets of the batch.
 * @param options - Weights of rows or classes.
 * @returns Loss and metrics of this batch.
 * @throws What `fit` throws.
 */
export async function trainOnBatch(
  model: Trainable,
  x: ModelData,
  y: ModelData,
  options: BatchOptions = {},
): Promise<Logs & { loss: number }> {
  const data = await batchOf("trainOnBatch", model, x, y, options);
  await model.build(options.signal === undefined ? {} : { signal: options.signal });
  const result = await model.trainer().trainOnBatch(updateRequest(model, data), options.signal);
  if (!Number.isFinite(result.loss)) throw new NaNLossError(`trainOnBatch: the loss is ${result.loss}`);
  return valuesOf(model, result, data);
}

/**
 * Losses and metrics of one batch; nothing changes.
 *
 * @param model - Compiled.
 * @param x - Inputs of the batch.
 * @param y - Targets of the batch.
 * @param options - Weights of rows or classes.
 * @returns Loss and metrics of this batch.
 * @throws What `evaluate` throws.
 */
export async function testOnBatch(
  model: Trainable,
  x: ModelData,
  y: ModelData,
  options: BatchOptions = {},
): Promise<Logs & { loss: number }> {
  const data = await batchOf("testOnBatch", model, x, y, options);
  await model.build(options.signal === undefined ? {} : { signal: options.signal });
  const result = await model.trainer().testOnBatch(testRequest(model, data), options.signal);
  return valuesOf(model, result, data);
}

async function batchOf(
  where: string,
  model: Trainable,
  x: ModelData,
  y: ModelData,
  options: BatchOptions,
): Promise<StepData> {
  checkKeys(where, options, ["sampleWeight", "classWeight", "signal"]);
  checkSignal(where, options.signal);
  options.signal?.throwIfAborted();
  const outputs = model.trainedOutputs.filter(takesTarget);
  const { sampleWeight, classWeight } = options;
  if (classWeight !== undefined && (sampleWeight !== undefined || outputs.length !== 1)) {
    throw new OptionError(`${where}: classWeight is for models with one output, and excludes sampleWeight`);
  }
  const arrays = await bindArrays(model.inputSpecifications, outputs, x, y, sampleWeight);
  const data = wholeArrays(arrays, rowCount(allColumns(arrays)));
  if (classWeight === undefined) return data;
  return { ...data, sampleWeights: [weighClasses(data.targets[0]!, classWeights(where, classWeight))] };
}

function valuesOf(model: Trainable, result: StepResult, data: StepData): Logs & { loss: number } {
  const tally = new Tally(model.trainedOutputs);
  tally.add(result, data.rows);
  const values = tally.values();
  return { ...values, loss: values.loss! };
}
