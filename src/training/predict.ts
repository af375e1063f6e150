import { NdArray } from "../data/ndarray.ts";
import { DataError } from "../errors.ts";
import type { Batch } from "../native-interface.ts";
import { type BatchData, batchSource, bindArrays, isBatchData, type ModelData, type TrainingData } from "./data.ts";
import { checkPassOptions, type PredictOptions } from "./options.ts";
import { Progress, surroundings } from "./progress.ts";
import { allColumns, arraySource, type BatchSource, rowCount } from "./source.ts";
import { BatchStream } from "./stream.ts";
import type { Trainable } from "./trainable.ts";

/** What `predict` gives: an array for a model with one output, otherwise one for each output. */
export type Prediction = NdArray | NdArray[];

/** What `predict` needs of a model, which need not be compiled. */
export type Predictable = Pick<Trainable, "inputSpecifications" | "build" | "handle">;

/**
 * The outputs of a model.
 *
 * @param model - Need not be compiled.
 * @param x - Inputs: arrays, or data in batches whose targets are not looked at.
 * @param options - How many rows a step, how far, and who is told.
 * @returns For arrays the outputs of all rows `[rows, ...]`. For data in batches a list with the outputs of each batch, since
 *   their lengths may differ.
 * @throws ShapeError, DataError or OptionError if the data or options are wrong; `signal.reason` after an abort.
 */
export function predict(model: Predictable, x: BatchData, options?: PredictOptions): Promise<Prediction[]>;
export function predict(model: Predictable, x: ModelData, options?: PredictOptions): Promise<Prediction>;
export function predict(
  model: Predictable,
  x: TrainingData,
  options: PredictOptions = {},
): Promise<Prediction | Prediction[]> {
  return isBatchData(x) ? predictBatches(model, x, options) : predictArrays(model, x, options);
}

async function predictArrays(model: Predictable, x: unknown, options: PredictOptions): Promise<Prediction> {
  checkPassOptions("predict", options, []);
  options.signal?.throwIfAborted();
  const arrays = await bindArrays(model.inputSpecifications, [], x, undefined);
  const rows = rowCount(allColumns(arrays));
  const size = options.batchSize ?? 32;
  const total = options.steps === undefined ? rows : Math.min(rows, options.steps * size);
  const source = arraySource(arrays, [0, total], size, undefined, undefined);
  const outputs: { data: Float32Array | Int32Array; shape: number[] }[] = [];
  let row = 0;
  for await (const batch of run(model, source, options)) {
    for (const [index, { data, shape }] of batch.entries()) {
      const width = data.length / shape[0]!;
      if (row === 0) {
        const all = data instanceof Int32Array ? new Int32Array(width * total) : new Float32Array(width * total);
        outputs[index] = { data: all, shape: [total, ...shape.slice(1)] };
      }
      outputs[index]!.data.set(data, row * width);
    }
    row += batch[0]!.shape[0]!;
  }
  return single(outputs);
}

async function predictBatches(model: Predictable, x: BatchData, options: PredictOptions): Promise<Prediction[]> {
  checkPassOptions("predict", options, []);
  options.signal?.throwIfAborted();
  const source = await batchSource(x, options.batchSize, model.inputSpecifications, []);
  const results: Prediction[] = [];
  for await (const batch of run(model, source, options)) results.push(single(batch));
  return results;
}

async function* run(model: Predictable, source: BatchSource, options: PredictOptions): AsyncGenerator<Batch[]> {
  const { signal } = options;
  const progress = new Progress("predict", options, 0, surroundings());
  await model.build(signal === undefined ? {} : { signal });
  const steps = source.count === undefined ? options.steps : Math.min(source.count, options.steps ?? source.count);
  const stream = new BatchStream(source, { epoch: 0, step: 0 }, false, signal);
  progress.begin("predict", 0, steps);
  let step = 0;
  let done = false;
  try {
    while (steps === undefined || step < steps) {
      const data = await stream.take();
      if (data === undefined) break;
      const running = model.handle().predict(data.inputs, signal);
      if (steps === undefined || step + 1 < steps) stream.prefetch();
      yield await running;
      step += 1;
      progress.step(step, 0, () => ({}));
    }
    if (step === 0) throw new DataError("predict: there are no data");
    progress.end(step, 0, () => ({}));
    progress.close();
    progress.finish({}, 0, 0, progress.elapsedSeconds);
    done = true;
  } finally {
    stream.close();
    if (!done) progress.abandon();
  }
}

function single(outputs: readonly Batch[]): Prediction {
  const arrays = outputs.map(({ data, shape }) => new NdArray(data, shape));
  return arrays.length === 1 ? arrays[0]! : arrays;
}
