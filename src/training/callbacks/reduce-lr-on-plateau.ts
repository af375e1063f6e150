import { OptionError } from "../../errors.ts";
import { checkKeys, integerOption, numberOption } from "../../options.ts";
import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";
import type { Callback, CallbackState, TrainParameters } from "./callback.ts";
import { Monitor, type MonitorMode } from "./monitor.ts";

/** Options of {@link reduceLrOnPlateau}. */
export interface ReduceLrOptions {
  /** The value that is watched, default `"valLoss"`. */
  monitor?: string;
  /** What the learning rate is multiplied by, at least 0 and below 1; default 0.1. */
  factor?: number;
  /** Epochs without improvement before a reduction, default 10. */
  patience?: number;
  /** Whether less or more is better; default `"auto"`, by the name. */
  mode?: MonitorMode;
  /** Change that counts as an improvement, at least 0; default 1e-4. */
  minDelta?: number;
  /** Epochs after a reduction in which no waiting is counted, default 0. */
  cooldown?: number;
  /** Lower bound of the learning rate, at least 0; default 0. */
  minLearningRate?: number;
}

interface Saved {
  best: number | null;
  wait: number;
  cooldown: number;
}

/** {@link reduceLrOnPlateau}. */
export class ReduceLrOnPlateau implements Callback {
  readonly #monitor: Monitor;
  readonly #factor: number;
  readonly #patience: number;
  readonly #cooldown: number;
  readonly #minimum: number;
  #wait = 0;
  #cooling = 0;

  /** @internal */
  constructor(options: ReduceLrOptions) {
    const where = "reduceLrOnPlateau";
    checkKeys(where, options, ["monitor", "factor", "patience", "mode", "minDelta", "cooldown", "minLearningRate"]);
    this.#factor = numberOption(where, "factor", options.factor ?? 0.1, 0);
    if (this.#factor >= 1) throw new OptionError(`${where}: factor must be below 1, got ${this.#factor}`);
    const minDelta = numberOption(where, "minDelta", options.minDelta ?? 1e-4, 0);
    this.#monitor = new Monitor(where, options.monitor ?? "valLoss", options.mode ?? "auto", minDelta);
    this.#patience = integerOption(where, "patience", options.patience ?? 10, 0);
    this.#cooldown = integerOption(where, "cooldown", options.cooldown ?? 0, 0);
    this.#minimum = numberOption(where, "minLearningRate", options.minLearningRate ?? 0, 0);
  }

  /** @internal */
  onTrainBegin(_logs: Logs, _model: Trainable, parameters: TrainParameters): void {
    this.#monitor.begin(parameters.names);
    this.#monitor.best = null;
    this.#wait = 0;
    this.#cooling = 0;
  }

  /** @internal */
  onEpochEnd(_epoch: number, logs: Logs, model: Trainable): void {
    const { optimizer } = model;
    logs.learningRate = optimizer.learningRate;
    const monitor = this.#monitor;
    const current = monitor.read(logs);
    if (current === undefined) return;
    if (this.#cooling > 0) {
      this.#cooling -= 1;
      this.#wait = 0;
    }
    if (monitor.improves(current, monitor.best)) {
      monitor.best = current;
      this.#wait = 0;
      return;
    }
    if (this.#cooling > 0) return;
    this.#wait += 1;
    if (this.#wait < this.#patience || optimizer.learningRate <= this.#minimum) return;
    optimizer.learningRate = Math.max(optimizer.learningRate * this.#factor, this.#minimum);
    this.#cooling = this.#cooldown;
    this.#wait = 0;
  }

  /** @internal */
  getState(): CallbackState {
    const values: Saved = { best: this.#monitor.best, wait: this.#wait, cooldown: this.#cooling };
    return { values };
  }

  /** @internal */
  setState(state: CallbackState): void {
    const saved = state.values as Saved;
    this.#monitor.best = saved.best;
    this.#wait = saved.wait;
    this.#cooling = saved.cooldown;
  }
}

/**
 * Lowers the learning rate when a value no longer improves, and logs `learningRate`.
 *
 * @param options - What is watched, how long, and by how much.
 * @throws OptionError if an option is wrong; from `fit`, StateError if a schedule decides on the learning rate.
 * @see Keras `ReduceLROnPlateau`.
 */
export function reduceLrOnPlateau(options: ReduceLrOptions = {}): ReduceLrOnPlateau {
  return new ReduceLrOnPlateau(options);
}
