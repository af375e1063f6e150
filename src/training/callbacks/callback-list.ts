import { OptionError } from "../../errors.ts";
import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";
import { type Callback, type CallbackState, hooks, type TrainParameters } from "./callback.ts";

/** Runs callbacks in their order, one after the other. */
export class CallbackList {
  readonly #callbacks: readonly Callback[];
  readonly #model: Trainable;

  constructor(callbacks: readonly Callback[], model: Trainable) {
    for (const [index, callback] of callbacks.entries()) check(index, callback);
    this.#callbacks = callbacks;
    this.#model = model;
  }

  /** Whether there are none. */
  get empty(): boolean {
    return this.#callbacks.length === 0;
  }

  /** Names of the values that the callbacks add. */
  get adds(): readonly string[] {
    return this.#callbacks.flatMap((callback) => callback.adds ?? []);
  }

  async trainBegin(parameters: TrainParameters): Promise<void> {
    for (const callback of this.#callbacks) await callback.onTrainBegin?.({}, this.#model, parameters);
  }

  async trainEnd(logs: Logs): Promise<void> {
    for (const callback of this.#callbacks) await callback.onTrainEnd?.(logs, this.#model);
  }

  async epochBegin(epoch: number): Promise<void> {
    for (const callback of this.#callbacks) await callback.onEpochBegin?.(epoch, {}, this.#model);
  }

  async epochEnd(epoch: number, logs: Logs): Promise<void> {
    for (const callback of this.#callbacks) await callback.onEpochEnd?.(epoch, logs, this.#model);
  }

  async batchBegin(step: number): Promise<void> {
    for (const callback of this.#callbacks) await callback.onBatchBegin?.(step, {}, this.#model);
  }

  async batchEnd(step: number, logs: Logs): Promise<void> {
    for (const callback of this.#callbacks) await callback.onBatchEnd?.(step, logs, this.#model);
  }

  async validationBegin(): Promise<void> {
    for (const callback of this.#callbacks) await callback.onValidationBegin?.({}, this.#model);
  }

  async validationEnd(logs: Logs): Promise<void> {
    for (const callback of this.#callbacks) await callback.onValidationEnd?.(logs, this.#model);
  }

  /** The state of each callback, `null` for those without. */
  states(): (CallbackState | null)[] {
    return this.#callbacks.map((callback) => callback.getState?.() ?? null);
  }

  /** Gives the callbacks their states back. */
  restore(states: readonly (CallbackState | null)[]): void {
    if (states.length !== this.#callbacks.length) {
      throw new OptionError(
        `fit: the interrupted run had ${states.length} callbacks, this one has ${this.#callbacks.length}: pass the same`,
      );
    }
    for (const [index, callback] of this.#callbacks.entries()) {
      const state = states[index];
      if (state !== null && state !== undefined) callback.setState?.(state);
    }
  }
}

function check(index: number, callback: unknown): void {
  const where = `fit: callbacks[${index}]`;
  if (typeof callback !== "object" || callback === null) throw new OptionError(`${where} is no object with hooks`);
  for (const hook of hooks) {
    const value = (callback as Callback)[hook];
    if (value !== undefined && typeof value !== "function") throw new OptionError(`${where}.${hook} is no function`);
  }
  if (Array.isArray(callback) || ![...hooks, "getState"].some((hook) => hook in callback)) {
    throw new OptionError(`${where} has none of the hooks ${hooks.join(", ")}`);
  }
}
