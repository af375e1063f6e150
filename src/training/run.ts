import type { DatasetPosition } from "../data/dataset-iterator.ts";
import { DataError, NaNLossError } from "../errors.ts";
import type { StepResult } from "../native-interface.ts";
import type { CallbackList } from "./callbacks/callback-list.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type History, type Logs, record } from "./history.ts";
import { prefixed, valueNames } from "./names.ts";
import type { Progress } from "./progress.ts";
import type { BatchSource, StepData } from "./source.ts";
import { stepRequest } from "./step-request.ts";
import { BatchStream } from "./stream.ts";
import { Tally } from "./tally.ts";
import { testPass } from "./test-pass.ts";
import { resetStates, type Trainable } from "./trainable.ts";
import type { TrainingState } from "./training-state.ts";

/** Everything that a run needs, options resolved. */
export interface RunParts {
  readonly model: Trainable;
  readonly source: BatchSource;
  readonly validation: BatchSource | undefined;
  readonly callbacks: CallbackList;
  readonly checkpoint: Checkpoint | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
  /** The epoch to stop at; infinite if only updates are limited. */
  readonly epochs: number;
  /** Updates after which training ends; infinite if only epochs are limited. */
  readonly maxUpdates: number;
  readonly initialEpoch: number;
  readonly stepsPerEpoch: number | undefined;
  readonly validationSteps: number | undefined;
  readonly validationFreq: number;
  readonly accumulateSteps: number;
  /** Whether a loss that is not a number is left to a callback. */
  readonly toleratesNaN: boolean;
}

/** One call of `fit`. */
export class Run {
  readonly #parts: RunParts;
  /** Steps of the epoch, if that is known: where batches of a pass are counted, from its first one on. */
  #steps: number | undefined;
  readonly #history: History;
  #epoch: number;
  #step = 0;
  #updates = 0;
  #begun = false;
  #tally: Tally;
  #rolling: BatchStream | undefined;
  #stream: BatchStream | undefined;
  /** The last state between two updates, while gradients of the next one are summed up. */
  #boundary: TrainingState | undefined;
  /** Whether the state is one that a run can go on from: not while callbacks run. */
  #consistent = false;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#history = { epoch: [], history: {} };
    this.#epoch = parts.initialEpoch;
    this.#tally = new Tally(parts.model.trainedOutputs);
  }

  /** Trains, from a saved state if there is one. */
  async run(saved: TrainingState | undefined): Promise<History> {
    const { model, callbacks, epochs, validation, stepsPerEpoch, source } = this.#parts;
    const own = valueNames(model.trainedOutputs);
    const validated = validation === undefined ? [] : own.map((name) => prefixed("val", name));
    const names = [...own, ...validated, ...callbacks.adds];
    model.stopTraining = false;
    let logs: Logs = {};
    try {
      await callbacks.trainBegin({ epochs, steps: stepsPerEpoch ?? source.count, names });
      if (saved !== undefined) this.#resume(saved);
      this.#openRolling(saved);
      // A run that was interrupted after its last update has its epoch to end.
      while (this.#epoch < epochs && (!this.#complete || this.#begun) && !model.stopTraining) {
        logs = await this.#runEpoch(this.#begun ? saved : undefined);
      }
      await resetStates(model);
      if (model.optimizer.useEma === true && epochs > 0) await model.trainer().finalizeVariableValues();
    } catch (error) {
      await this.#afterFailure(error, logs);
      throw error;
    } finally {
      this.#rolling?.close();
      this.#stream?.close();
    }
    await callbacks.trainEnd(logs);
    return this.#history;
  }

  /** Whether there were as many updates as were wanted. */
  get #complete(): boolean {
    return this.#updates >= this.#parts.maxUpdates;
  }

  #resume(saved: TrainingState): void {
    const { model, callbacks } = this.#parts;
    this.#epoch = saved.epoch;
    this.#step = saved.step;
    this.#updates = saved.updates;
    this.#begun = saved.begun;
    this.#history.epoch.push(...saved.history.epoch);
    Object.assign(this.#history.history, structuredClone(saved.history.history));
    callbacks.restore(saved.callbacks);
    if (saved.learningRate !== null) model.optimizer.learningRate = saved.learningRate;
  }

  /** With a fixed number of steps, one stream runs through all epochs. */
  #openRolling(saved: TrainingState | undefined): void {
    const { stepsPerEpoch, source, signal, initialEpoch } = this.#parts;
    if (stepsPerEpoch === undefined) return;
    const done = initialEpoch * stepsPerEpoch;
    const start =
      source.count === undefined
        ? { epoch: 0, step: 0 }
        : { epoch: Math.floor(done / source.count), step: done % source.count };
    this.#rolling = new BatchStream(source, saved?.data ?? start, true, signal);
  }

  /** One epoch, of which `saved` was the state if it was interrupted. */
  async #runEpoch(saved: TrainingState | undefined): Promise<Logs> {
    const { model, source, callbacks, progress, signal, stepsPerEpoch } = this.#parts;
    const epoch = this.#epoch;
    const expected = stepsPerEpoch ?? this.#steps ?? source.count;
    this.#steps = stepsPerEpoch;
    this.#tally = new Tally(model.trainedOutputs, saved === undefined ? undefined : structuredClone(saved.tally));
    const start = saved?.data ?? { epoch, step: this.#step };
    const stream = this.#rolling ?? new BatchStream(source, start, false, signal);
    this.#stream = stream;
    signal?.throwIfAborted();
    // Those of an interrupted epoch were read with the weights.
    if (saved === undefined) await resetStates(model);
    await this.#inCallbacks(() => callbacks.epochBegin(epoch));
    if (saved !== undefined) {
      // The hook has run before in this epoch: its effects are in the state.
      callbacks.restore(saved.callbacks);
      if (saved.learningRate !== null) model.optimizer.learningRate = saved.learningRate;
    }
    this.#begun = true;
    this.#boundary = this.#state();
    const tokensBefore = this.#tally.tokens;
    progress.begin("train", epoch, expected, this.#step);
    await this.#runSteps(stream, tokensBefore);
    const trainSeconds = progress.elapsedSeconds;
    const tokens = this.#tally.tokens - tokensBefore;
    progress.end(this.#step, tokens, () => this.#tally.values());
    if (this.#rolling === undefined) stream.close();

    const logs = this.#tally.values();
    let seconds = trainSeconds;
    if (this.#validates(epoch)) {
      Object.assign(logs, await this.#validate(epoch));
      seconds += progress.elapsedSeconds;
    }
    await this.#inCallbacks(async () => {
      await callbacks.epochEnd(epoch, logs);
      record(this.#history, epoch, logs);
      progress.finish(logs, epoch, trainSeconds > 0 ? tokens / trainSeconds : 0, seconds);
      this.#epoch += 1;
      this.#step = 0;
      this.#begun = false;
      this.#tally = new Tally(model.trainedOutputs);
      this.#boundary = this.#state();
    });
    // A run that ends here is not saved: gone back to the state before, it would decide to end again.
    if (!model.stopTraining) await this.#parts.checkpoint?.afterEpoch(() => this.#boundary!);
    return logs;
  }

  async #runSteps(stream: BatchStream, tokensBefore: number): Promise<void> {
    const { model, callbacks, progress, signal, checkpoint, stepsPerEpoch } = this.#parts;
    while ((this.#steps === undefined || this.#step < this.#steps) && !(this.#complete && this.#step > 0)) {
      signal?.throwIfAborted();
      const data = await stream.take();
      if (data === undefined) break;
      // Passes over the same data may have more batches or less.
      this.#steps = stepsPerEpoch ?? data.count;
      progress.expect(this.#steps);
      const step = this.#step;
      if (!callbacks.empty) await this.#inCallbacks(() => callbacks.batchBegin(step));
      const updates = await this.#trainStep(stream, data);
      this.#step += 1;
      if (updates) this.#updates += 1;
      if (!callbacks.empty) await this.#inCallbacks(() => callbacks.batchEnd(step, this.#tally.values()));
      if (updates) this.#boundary = checkpoint === undefined ? undefined : this.#state();
      progress.step(this.#step, this.#tally.tokens - tokensBefore, () => this.#tally.values());
      if (!model.stopTraining) await checkpoint?.afterStep(updates, () => this.#boundary!);
      if (model.stopTraining) break;
    }
    if (this.#step === 0) throw new DataError("fit: there are no data to train on");
  }

  /** Runs a step on a batch; says whether the weights were updated. */
  async #trainStep(stream: BatchStream, data: StepData): Promise<boolean> {
    const { model, signal, accumulateSteps } = this.#parts;
    const steps = this.#steps;
    const step = this.#step;
    const place = step % accumulateSteps;
    const group = steps === undefined ? accumulateSteps : Math.min(accumulateSteps, steps - step + place);
    let updates = place + 1 === group;
    if (!updates && steps === undefined) updates = await stream.exhausted();
    const trainer = model.trainer();
    const rate = model.optimizer.at(trainer.iterations());
    const running = trainer.trainOnBatch(stepRequest(model, data, rate, updates, 1 / group), signal);
    const goesOn = this.#rolling !== undefined && this.#epoch + 1 < this.#parts.epochs;
    const isLast = updates && this.#updates + 1 >= this.#parts.maxUpdates;
    if (!isLast && (steps === undefined || step + 1 < steps || goesOn)) stream.prefetch();
    const result = await this.#settled(running, data);
    this.#tally.add(result, data.rows);
    if (!Number.isFinite(result.loss) && !this.#parts.toleratesNaN) throw this.#notANumber(result.loss);
    return updates;
  }

  /** The result of a step, also if the native side rejects one whose loss is not a number. */
  async #settled(running: Promise<StepResult>, data: StepData): Promise<StepResult> {
    try {
      return await running;
    } catch (error) {
      if (!(error instanceof NaNLossError)) throw error;
      if (!this.#parts.toleratesNaN) throw this.#notANumber(Number.NaN, error);
      const outputs = this.#parts.model.trainedOutputs.map(() => ({ loss: Number.NaN, metrics: [] }));
      return { loss: Number.NaN, outputs, tokens: data.rows, milliseconds: 0 };
    }
  }

  #notANumber(loss: number, cause?: unknown): NaNLossError {
    const remedy = "a lower learning rate or clipnorm may help, or terminateOnNaN() to end the training there";
    const place = `epoch ${this.#epoch}, step ${this.#step} (counted from 0)`;
    return new NaNLossError(`fit: the loss is ${loss} in ${place}; ${remedy}`, { cause });
  }

  #validates(epoch: number): boolean {
    return this.#parts.validation !== undefined && (epoch + 1) % this.#parts.validationFreq === 0;
  }

  async #validate(epoch: number): Promise<Logs> {
    const { model, validation, validationSteps, callbacks, progress, signal } = this.#parts;
    if (!callbacks.empty) await this.#inCallbacks(() => callbacks.validationBegin());
    const tally = await testPass(model, validation!, validationSteps, epoch, progress, signal);
    const logs = tally.values();
    if (!callbacks.empty) await this.#inCallbacks(() => callbacks.validationEnd(logs));
    return Object.fromEntries(Object.entries(logs).map(([name, value]) => [prefixed("val", name), value]));
  }

  async #inCallbacks(call: () => Promise<void>): Promise<void> {
    this.#consistent = false;
    await call();
    this.#consistent = true;
  }

  #state(): TrainingState {
    const { model, callbacks, checkpoint } = this.#parts;
    return {
      epoch: this.#epoch,
      step: this.#step,
      updates: this.#updates,
      begun: this.#begun,
      data: this.#place(),
      tally: this.#tally.state(),
      history: structuredClone(this.#history),
      callbacks: checkpoint === undefined ? [] : callbacks.states(),
      learningRate: constantRate(model),
    };
  }

  /** Where the next batch lies. */
  #place(): DatasetPosition {
    if (this.#rolling !== undefined) return this.#rolling.position;
    const start = { epoch: this.#epoch, step: this.#step };
    return this.#begun ? (this.#stream?.position ?? start) : start;
  }

  /** Saves if the run was aborted; ends the callbacks' work if it failed by its numbers. */
  async #afterFailure(error: unknown, logs: Logs): Promise<void> {
    const { checkpoint, callbacks, signal, progress } = this.#parts;
    progress.abandon();
    if (error instanceof NaNLossError) await callbacks.trainEnd(logs);
    else if (signal?.aborted && error === signal.reason && this.#consistent && this.#boundary !== undefined) {
      await checkpoint?.save(this.#boundary);
    }
  }
}

function constantRate(model: Trainable): number | null {
  try {
    return model.optimizer.learningRate;
  } catch {
    return null; // A schedule decides.
  }
}
