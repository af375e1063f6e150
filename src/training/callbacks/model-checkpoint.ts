import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fromFile, OptionError } from "../../errors.ts";
import { booleanOption, checkKeys, integerOption, numberOption } from "../../options.ts";
import { removeFolder } from "../../saving/folder.ts";
import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";
import type { Callback, CallbackState, TrainParameters } from "./callback.ts";
import { Monitor, type MonitorMode } from "./monitor.ts";
import { filledPath } from "./path-template.ts";

/** Options of {@link modelCheckpoint}. */
export interface ModelCheckpointOptions {
  /**
   * Folder of the model, or with `saveWeightsOnly` a file such as `weights.safetensors`. `{epoch}` and `{batch}` (counted from 1)
   * and names of logged values are filled in, with a format as in `{epoch:02d}-{valLoss:.2f}`.
   */
  path: string;
  /** The value that is watched with `saveBestOnly`, default `"valLoss"`. */
  monitor?: string;
  /** Whether less or more is better; default `"auto"`, by the name. */
  mode?: MonitorMode;
  /** Whether only improvements are saved, default `false`. */
  saveBestOnly?: boolean;
  /** Whether only the weights are saved, default `false`. */
  saveWeightsOnly?: boolean;
  /** When to save: after each epoch, or after so many steps, from 1; default `"epoch"`. */
  saveFreq?: "epoch" | number;
  /** Value that the first must beat with `saveBestOnly`; default none. */
  initialValueThreshold?: number;
  /**
   * How many of the models that it saved are kept, the last ones, from 1; `path` should then tell them apart, as with `{epoch}`. Older ones
   * are removed. Default all.
   */
  maxToKeep?: number;
  /** What is saved instead of the model: the `Seq2Seq` that is trained, with its tokenizers. Default the model. */
  translator?: Savable;
}

/** What can be saved in a folder, such as a `Seq2Seq`. */
export interface Savable {
  /** Writes the folder. */
  save(folder: string): Promise<void>;
}

interface Saved {
  best: number | null;
  steps: number;
  epoch: number;
  /** Absent in runs of earlier versions. */
  kept?: string[];
}

/** {@link modelCheckpoint}. */
export class ModelCheckpoint implements Callback {
  readonly #path: string;
  readonly #monitor: Monitor | undefined;
  readonly #weightsOnly: boolean;
  readonly #saveFreq: "epoch" | number;
  readonly #maxToKeep: number;
  readonly #translator: Savable | undefined;
  /** Places that were written, the oldest first. */
  #kept: string[] = [];
  #steps = 0;
  #epoch = 0;

  /** @internal */
  constructor(options: ModelCheckpointOptions) {
    const where = "modelCheckpoint";
    checkKeys(where, options, [
      "path",
      "monitor",
      "mode",
      "saveBestOnly",
      "saveWeightsOnly",
      "saveFreq",
      "initialValueThreshold",
      "maxToKeep",
      "translator",
    ]);
    if (typeof options.path !== "string" || options.path === "") throw new OptionError(`${where}: path must be a path`);
    const { saveFreq = "epoch", initialValueThreshold: threshold } = options;
    if (threshold !== undefined) numberOption(where, "initialValueThreshold", threshold);
    const { maxToKeep, translator } = options;
    this.#maxToKeep =
      maxToKeep === undefined ? Number.POSITIVE_INFINITY : integerOption(where, "maxToKeep", maxToKeep, 1);
    if (translator !== undefined && typeof translator?.save !== "function") {
      throw new OptionError(`${where}: translator must be a Seq2Seq`);
    }
    if (translator !== undefined && options.saveWeightsOnly === true) {
      throw new OptionError(`${where}: a translator is saved whole: leave saveWeightsOnly or translator out`);
    }
    this.#translator = translator;
    this.#path = options.path;
    this.#weightsOnly = booleanOption(where, "saveWeightsOnly", options.saveWeightsOnly ?? false);
    this.#saveFreq = saveFreq === "epoch" ? saveFreq : integerOption(where, "saveFreq", saveFreq, 1);
    this.#monitor = booleanOption(where, "saveBestOnly", options.saveBestOnly ?? false)
      ? new Monitor(where, options.monitor ?? "valLoss", options.mode ?? "auto", 0, threshold ?? null)
      : undefined;
  }

  /** The best value so far, or `null`. */
  get best(): number | null {
    return this.#monitor?.best ?? null;
  }

  /** @internal */
  onTrainBegin(_logs: Logs, _model: Trainable, parameters: TrainParameters): void {
    this.#monitor?.begin(parameters.names);
  }

  /** @internal */
  onEpochBegin(epoch: number): void {
    this.#epoch = epoch;
  }

  /** @internal */
  async onBatchEnd(step: number, logs: Logs, model: Trainable): Promise<void> {
    if (this.#saveFreq === "epoch") return;
    this.#steps += 1;
    if (this.#steps < this.#saveFreq) return;
    this.#steps = 0;
    await this.#save(logs, model, { epoch: this.#epoch + 1, batch: step + 1 });
  }

  /** @internal */
  async onEpochEnd(epoch: number, logs: Logs, model: Trainable): Promise<void> {
    if (this.#saveFreq === "epoch") await this.#save(logs, model, { epoch: epoch + 1 });
  }

  async #save(logs: Logs, model: Trainable, place: Logs): Promise<void> {
    const path = filledPath("modelCheckpoint", this.#path, { ...place, ...logs });
    if (!this.#improved(logs)) return;
    await this.#write(path, model);
    this.#kept = [...this.#kept.filter((place) => place !== path), path];
    while (this.#kept.length > this.#maxToKeep) await this.#remove(this.#kept.shift()!);
    // Without a limit they need not be remembered.
    if (this.#maxToKeep === Number.POSITIVE_INFINITY) this.#kept = [];
  }

  async #remove(path: string): Promise<void> {
    if (!this.#weightsOnly) return removeFolder(path);
    await rm(path, { force: true }).catch((error: unknown) => {
      throw fromFile("cannot remove", path, error);
    });
  }

  async #write(path: string, model: Trainable): Promise<void> {
    if (this.#translator !== undefined) return this.#translator.save(path);
    if (!this.#weightsOnly) return model.save(path);
    await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
      throw fromFile("cannot write", path, error);
    });
    await model.saveWeights(path);
  }

  #improved(logs: Logs): boolean {
    const monitor = this.#monitor;
    if (monitor === undefined) return true;
    const current = monitor.read(logs);
    if (current === undefined || !monitor.improves(current, monitor.best)) return false;
    monitor.best = current;
    return true;
  }

  /** @internal */
  getState(): CallbackState {
    const values: Saved = { best: this.best, steps: this.#steps, epoch: this.#epoch, kept: [...this.#kept] };
    return { values };
  }

  /** @internal */
  setState(state: CallbackState): void {
    const saved = state.values as Saved;
    if (this.#monitor !== undefined) this.#monitor.best = saved.best;
    this.#steps = saved.steps;
    this.#epoch = saved.epoch;
    this.#kept = [...(saved.kept ?? [])];
  }
}

/**
 * Saves the model while it is trained, always or when a value is the best so far; each file or folder is replaced as a whole.
 *
 * In an epoch that is not validated nothing is saved for a validation value (Keras saves there).
 *
 * @param options - Where, when and what.
 * @throws OptionError if an option is wrong; from `fit`, if the value is not logged; FileError if it cannot be written.
 * @see Keras `ModelCheckpoint`.
 */
export function modelCheckpoint(options: ModelCheckpointOptions): ModelCheckpoint {
  return new ModelCheckpoint(options);
}
