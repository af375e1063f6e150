import { NaNLossError } from "../errors.ts";
import { booleanOption, checkKeys, checkSignal, integerOption } from "../options.ts";
import { batchSource, bindArrays, isBatchData, type ModelData, type TrainingData } from "./data.ts";
import { beginTraining } from "./exclusive.ts";
import type { Logs } from "./history.ts";
import { takesTarget } from "./names.ts";
import { checkIntegers, type StepsOptions } from "./options.ts";
import { randomSeed } from "./random-seed.ts";
import { allColumns, arraySource, type BatchSource, rowCount } from "./source.ts";
import { updateRequest } from "./step-request.ts";
import { BatchStream } from "./stream.ts";
import { Tally } from "./tally.ts";
import type { Trainable } from "./trainable.ts";

/** A step of an own training loop. */
export interface TrainingStep {
  /** The epoch, counted from 0. */
  readonly epoch: number;
  /** The step within the epoch, counted from 0. */
  readonly step: number;
  /** Steps since the model was compiled, this one included; each updates the weights unless the optimiser accumulates gradients. */
  readonly iteration: number;
  /** Loss of this batch; it may be not a number. */
  readonly loss: number;
  /** Metrics of this batch and, with several outputs, losses. */
  readonly metrics: Readonly<Logs>;
  /** Valid target entries of this batch. */
  readonly tokens: number;
  /** Valid target entries of this batch for each second from asking for the step to its end. */
  readonly tokensPerSecond: number;
}

/** Arrays for `Model.steps`. */
export interface StepsData {
  /** Inputs. */
  readonly x: ModelData;
  /** Targets. */
  readonly y: ModelData;
  /** Factors of the loss, `[rows]` or `[rows, time]`. */
  readonly sampleWeight?: ModelData;
}

/**
 * Trains step by step, for an own loop: the next step begins when the next value is asked for, and leaving the loop ends the
 * training. There are no callbacks, and a loss that is not a number is not an error.
 *
 * @param model - Compiled.
 * @param data - Data in batches, or arrays as `{ x, y }`.
 * @param options - How long, and in which order.
 * @returns The steps.
 * @throws While reading, what `fit` throws.
 */
export async function* steps(
  model: Trainable,
  data: TrainingData | StepsData,
  options: StepsOptions = {},
): AsyncGenerator<TrainingStep, void, undefined> {
  const where = "steps";
  checkKeys(where, options, ["epochs", "batchSize", "shuffle", "seed", "signal"]);
  checkIntegers(where, options, ["epochs", "batchSize"]);
  checkSignal(where, options.signal);
  if (options.seed !== undefined) integerOption(where, "seed", options.seed, 0);
  if (options.shuffle !== undefined) booleanOption(where, "shuffle", options.shuffle);
  const { signal, epochs = 1 } = options;
  signal?.throwIfAborted();
  const end = beginTraining(model, where);
  try {
    const source = await sourceOf(model, data, options);
    await model.build(signal === undefined ? {} : { signal });
    for (let epoch = 0; epoch < epochs; epoch++) yield* oneEpoch(model, source, epoch, signal);
  } finally {
    end();
  }
}

async function* oneEpoch(
  model: Trainable,
  source: BatchSource,
  epoch: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<TrainingStep> {
  const stream = new BatchStream(source, { epoch, step: 0 }, false, signal);
  try {
    for (let step = 0; ; step++) {
      const start = performance.now();
      signal?.throwIfAborted();
      const data = await stream.take();
      if (data === undefined) return;
      const trainer = model.trainer();
      const running = trainer.trainOnBatch(updateRequest(model, data), signal);
      stream.prefetch();
      const result = await running.catch((error: unknown) => {
        if (!(error instanceof NaNLossError)) throw error;
        const outputs = model.trainedOutputs.map(() => ({ loss: Number.NaN, metrics: [] }));
        return { loss: Number.NaN, outputs, tokens: 0, milliseconds: 0 };
      });
      const tally = new Tally(model.trainedOutputs);
      tally.add(result, data.rows);
      const { loss, ...metrics } = tally.values();
      const seconds = (performance.now() - start) / 1000;
      yield {
        epoch,
        step,
        iteration: trainer.iterations(),
        loss: loss!,
        metrics,
        tokens: result.tokens,
        tokensPerSecond: seconds > 0 ? result.tokens / seconds : 0,
      };
    }
  } finally {
    stream.close();
  }
}

async function sourceOf(model: Trainable, data: TrainingData | StepsData, options: StepsOptions): Promise<BatchSource> {
  const outputs = model.trainedOutputs.filter(takesTarget);
  if (isBatchData(data)) return batchSource(data, options.batchSize, model.inputSpecifications, outputs);
  const { x, y, sampleWeight } = data as StepsData;
  const arrays = await bindArrays(model.inputSpecifications, outputs, x, y, sampleWeight);
  const seed = options.shuffle === false ? undefined : (options.seed ?? randomSeed());
  return arraySource(arrays, [0, rowCount(allColumns(arrays))], options.batchSize ?? 32, seed, undefined);
}
