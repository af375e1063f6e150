import { booleanOption, checkKeys, integerOption, numberOption } from "../../options.ts";
import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";
import type { Callback, CallbackState, TrainParameters } from "./callback.ts";
import { Monitor, type MonitorMode } from "./monitor.ts";

/** Options of {@link earlyStopping}. */
export interface EarlyStoppingOptions {
  /** The value that is watched, default `"valLoss"`. */
  monitor?: string;
  /** Change that counts as an improvement, at least 0; default 0. */
  minDelta?: number;
  /** Epochs without improvement after which training ends, default 0. */
  patience?: number;
  /** Whether less or more is better; default `"auto"`, by the name. */
  mode?: MonitorMode;
  /** Value that must be beaten before patience is renewed; default none. */
  baseline?: number;
  /** Whether the weights of the best epoch are put back at the end, default `false`. */
  restoreBestWeights?: boolean;
  /** First epoch, counted from 0, that is watched; default 0. */
  startFromEpoch?: number;
}

type Weights = Awaited<ReturnType<Trainable["getWeights"]>>;

interface Saved {
  wait: number;
  best: number | null;
  bestEpoch: number;
  stoppedEpoch: number;
  shapes: (readonly number[])[] | null;
}

/** {@link earlyStopping}. */
export class EarlyStopping implements Callback {
  /** Epoch after which training was ended, counted from 0; 0 if it was not. */
  stoppedEpoch = 0;
  /** Epoch with the best value, counted from 0. */
  bestEpoch = 0;
  readonly #monitor: Monitor;
  readonly #patience: number;
  readonly #baseline: number | null;
  readonly #restore: boolean;
  readonly #start: number;
  #wait = 0;
  #bestWeights: Weights | undefined;

  /** @internal */
  constructor(options: EarlyStoppingOptions) {
    const where = "earlyStopping";
    checkKeys(where, options, [
      "monitor",
      "minDelta",
      "patience",
      "mode",
      "baseline",
      "restoreBestWeights",
      "startFromEpoch",
    ]);
    const minDelta = numberOption(where, "minDelta", options.minDelta ?? 0, 0);
    this.#monitor = new Monitor(where, options.monitor ?? "valLoss", options.mode ?? "auto", minDelta);
    this.#patience = integerOption(where, "patience", options.patience ?? 0, 0);
    this.#baseline = options.baseline === undefined ? null : numberOption(where, "baseline", options.baseline);
    this.#restore = booleanOption(where, "restoreBestWeights", options.restoreBestWeights ?? false);
    this.#start = integerOption(where, "startFromEpoch", options.startFromEpoch ?? 0, 0);
  }

  /** The best value so far, or `null`. */
  get best(): number | null {
    return this.#monitor.best;
  }

  /** @internal */
  onTrainBegin(_logs: Logs, _model: Trainable, parameters: TrainParameters): void {
    this.#monitor.begin(parameters.names);
    this.#monitor.best = null;
    this.#wait = 0;
    this.stoppedEpoch = 0;
    this.bestEpoch = 0;
    this.#bestWeights = undefined;
  }

  /** @internal */
  async onEpochEnd(epoch: number, logs: Logs, model: Trainable): Promise<void> {
    const monitor = this.#monitor;
    const current = monitor.read(logs);
    if (current === undefined || epoch < this.#start) return;
    this.#wait += 1;
    const better = monitor.improves(current, monitor.best);
    if (this.#restore && (better || this.#bestWeights === undefined)) {
      this.#bestWeights = await model.getWeights();
      this.bestEpoch = epoch;
    }
    if (better) {
      monitor.best = current;
      this.bestEpoch = epoch;
      if (monitor.improves(current, this.#baseline)) this.#wait = 0;
      return;
    }
    if (this.#wait >= this.#patience && epoch > 0) {
      this.stoppedEpoch = epoch;
      model.stopTraining = true;
    }
  }

  /** @internal */
  async onTrainEnd(_logs: Logs, model: Trainable): Promise<void> {
    if (this.#bestWeights !== undefined) await model.setWeights(this.#bestWeights);
  }

  /** @internal */
  getState(): CallbackState {
    const values: Saved = {
      wait: this.#wait,
      best: this.#monitor.best,
      bestEpoch: this.bestEpoch,
      stoppedEpoch: this.stoppedEpoch,
      shapes: this.#bestWeights?.map(({ shape }) => shape) ?? null,
    };
    return { values, arrays: this.#bestWeights?.map(({ data }) => data) ?? [] };
  }

  /** @internal */
  setState(state: CallbackState): void {
    const saved = state.values as Saved;
    this.#wait = saved.wait;
    this.#monitor.best = saved.best;
    this.bestEpoch = saved.bestEpoch;
    this.stoppedEpoch = saved.stoppedEpoch;
    this.#bestWeights = saved.shapes?.map((shape, index) => ({ data: state.arrays![index]!, shape }));
  }
}

/**
 * Ends training when a value no longer improves. As in Keras, the best weights are put back at the end of training also if it
 * ended by itself.
 *
 * @param options - What is watched, and how long.
 * @throws OptionError if an option is wrong; from `fit`, if the value is not logged.
 * @see Keras `EarlyStopping`.
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): EarlyStopping {
  return new EarlyStopping(options);
}
