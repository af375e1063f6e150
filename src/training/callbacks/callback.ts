import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";

/** What callbacks are told about a run when it begins. */
export interface TrainParameters {
  /** The epoch after the last, counted from 0; infinite if `maxUpdates` alone ends the run. */
  readonly epochs: number;
  /** Steps of an epoch, if that is known; where they differ from epoch to epoch, of the first one. */
  readonly steps: number | undefined;
  /** Names of the values that the run itself logs, such as `loss` and `valLoss`, and of those that callbacks say they add. */
  readonly names: readonly string[];
}

/** What a callback keeps between runs, so that a resumed run equals an uninterrupted one. */
export interface CallbackState {
  /** Anything that JSON can hold. */
  readonly values: unknown;
  /** Weights, or nothing. */
  readonly arrays?: readonly Float32Array[];
}

/** What a callback returns: a promise is awaited. */
export type CallbackResult = void | Promise<void>;

/**
 * Code that runs at certain moments of `fit`: an object with any of these methods, each of which may return a promise that is
 * waited for. An error that one throws rejects `fit`, and nothing else. `logs` holds the values so far (averages over the
 * epoch); what is added to it in `onEpochEnd` comes into the history. Setting `model.stopTraining` ends the training.
 *
 * @example
 * ```ts
 * import type { Callback } from "sconce";
 *
 * const shout: Callback = {
 *   onEpochEnd(epoch, logs) {
 *     console.log(epoch, logs.loss);
 *   },
 * };
 * ```
 */
export interface Callback {
  /** Names of values that it adds to `logs` in `onEpochEnd`, not necessarily in every epoch; callbacks behind it may watch them. */
  readonly adds?: readonly string[];
  /** Before the first epoch; `logs` is empty. */
  onTrainBegin?(logs: Logs, model: Trainable, parameters: TrainParameters): CallbackResult;
  /** After the last epoch, or after a loss that is not a number; `logs` are those of the last epoch. Not called after an error. */
  onTrainEnd?(logs: Logs, model: Trainable): CallbackResult;
  /** Before the first step of an epoch, counted from 0. Called again when a run is resumed within an epoch. */
  onEpochBegin?(epoch: number, logs: Logs, model: Trainable): CallbackResult;
  /** After the last step and the validation of an epoch, counted from 0. */
  onEpochEnd?(epoch: number, logs: Logs, model: Trainable): CallbackResult;
  /** Before a step, counted from 0 in each epoch. */
  onBatchBegin?(step: number, logs: Logs, model: Trainable): CallbackResult;
  /** After a step. */
  onBatchEnd?(step: number, logs: Logs, model: Trainable): CallbackResult;
  /** Before the validation of an epoch; `logs` is empty. */
  onValidationBegin?(logs: Logs, model: Trainable): CallbackResult;
  /** After the validation of an epoch; the names of `logs` have no prefix. */
  onValidationEnd?(logs: Logs, model: Trainable): CallbackResult;
  /** What `backupAndRestore` keeps of this callback; must be JSON, weights apart. */
  getState?(): CallbackState;
  /** Takes what `getState` gave in the interrupted run; called after `onTrainBegin`. */
  setState?(state: CallbackState): void;
}

type Hook = Exclude<keyof Callback, "adds" | "getState" | "setState">;

/** Names of the hooks. */
export const hooks: readonly Hook[] = [
  "onTrainBegin",
  "onTrainEnd",
  "onEpochBegin",
  "onEpochEnd",
  "onBatchBegin",
  "onBatchEnd",
  "onValidationBegin",
  "onValidationEnd",
];
