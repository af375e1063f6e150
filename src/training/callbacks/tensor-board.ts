import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { OptionError } from "../../errors.ts";
import { checkKeys, integerOption } from "../../options.ts";
import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";
import type { Callback, CallbackState } from "./callback.ts";
import { scalarEvent } from "./tensor-board/event.ts";
import { cannotWrite, EventFile, type EventFileState } from "./tensor-board/event-file.ts";

/** Options of {@link tensorBoard}. */
export interface TensorBoardOptions {
  /** Folder of the run; it is made, with `train` and, if there are validation data, `validation` in it. */
  logDir: string;
  /**
   * Whether values are also written within epochs: `"batch"` after each step, or a number after so many steps, from 1. Default
   * `"epoch"`: they are not.
   */
  updateFreq?: "epoch" | "batch" | number;
}

interface Saved {
  batches: number;
  train: EventFileState | null;
  validation: EventFileState | null;
}

/** {@link tensorBoard}. */
export class TensorBoard implements Callback {
  readonly #folder: string;
  readonly #frequency: number;
  #train: EventFile;
  #validation: EventFile;
  /** Steps of the whole run. */
  #batches = 0;

  /** @internal */
  constructor(options: TensorBoardOptions) {
    const where = "tensorBoard";
    checkKeys(where, options, ["logDir", "updateFreq"]);
    if (typeof options.logDir !== "string" || options.logDir === "") {
      throw new OptionError(`${where}: logDir must be a path`);
    }
    this.#folder = resolve(options.logDir);
    this.#frequency = frequency(where, options.updateFreq ?? "epoch");
    this.#train = this.#file("train");
    this.#validation = this.#file("validation");
  }

  /** @internal */
  async onTrainBegin(): Promise<void> {
    this.#train = this.#file("train");
    this.#validation = this.#file("validation");
    this.#batches = 0;
    const folder = join(this.#folder, "train");
    try {
      await mkdir(folder, { recursive: true });
      await access(folder, constants.W_OK);
    } catch (error) {
      // Sooner than after the first epoch.
      throw cannotWrite(folder, error);
    }
  }

  /** @internal */
  async onBatchEnd(_step: number, logs: Logs): Promise<void> {
    this.#batches += 1;
    if (this.#batches % this.#frequency !== 0) return;
    await this.#train.append(scalars(this.#batches, logs, (name) => `batch_${name}`));
  }

  /** @internal */
  async onValidationEnd(logs: Logs, model: Trainable): Promise<void> {
    const iterations = model.trainer().iterations();
    await this.#validation.append(scalars(iterations, logs, (name) => `evaluation_${name}_vs_iterations`));
  }

  /** @internal */
  async onEpochEnd(epoch: number, logs: Logs, model: Trainable): Promise<void> {
    const train: Logs = {};
    const validation: Logs = {};
    for (const [name, value] of Object.entries(logs)) {
      const validated = /^val(?:_(?=.)|(?=[A-Z]))/.exec(name);
      if (validated === null) train[name] = value;
      else validation[name.slice(validated[0].length)] = value;
    }
    train.learningRate = model.optimizer.at(model.trainer().iterations());
    const tag = (name: string) => `epoch_${name}`;
    await this.#train.append(scalars(epoch, train, tag));
    if (Object.keys(validation).length > 0) await this.#validation.append(scalars(epoch, validation, tag));
  }

  /** @internal */
  getState(): CallbackState {
    const values: Saved = { batches: this.#batches, train: this.#train.state, validation: this.#validation.state };
    return { values };
  }

  /** @internal */
  setState(state: CallbackState): void {
    const { batches, train, validation } = state.values as Saved;
    this.#batches = batches;
    this.#train.resume(train);
    this.#validation.resume(validation);
  }

  #file(name: "train" | "validation"): EventFile {
    return new EventFile(join(this.#folder, name));
  }
}

/** After how many steps values are written, or infinity. */
function frequency(where: string, option: unknown): number {
  if (option === "epoch") return Number.POSITIVE_INFINITY;
  if (option === "batch") return 1;
  if (typeof option === "number") return integerOption(where, "updateFreq", option, 1);
  throw new OptionError(`${where}: updateFreq must be "epoch", "batch" or a number of steps`);
}

/** Events for values, whose names are written as in Keras: `sparseCategoricalAccuracy` as `sparse_categorical_accuracy`. */
function scalars(step: number, logs: Logs, tag: (name: string) => string): Buffer[] {
  const seconds = Date.now() / 1000;
  return Object.entries(logs).map(([name, value]) => scalarEvent(seconds, step, tag(snakeCase(name)), value));
}

function snakeCase(name: string): string {
  const lower = name.replace(/^[A-Z](?![A-Z])/, (letter) => letter.toLowerCase());
  return lower.replace(/(?<=[a-z\d])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Writes values to files that TensorBoard shows as curves (`tensorboard --logdir FOLDER`), under the tags of Keras: `epoch_loss`,
 * `epoch_accuracy`, `epoch_learning_rate` and so on over epochs counted from 0, training and validation in one diagram each;
 * with `updateFreq` also `batch_loss` and so on, averages over the epoch so far, over the steps of the run counted from 1; and
 * `evaluation_loss_vs_iterations` and so on over updates of the weights. Values are in the files when the hook is over.
 *
 * Each run of `fit` makes files of its own; one that `backupAndRestore` resumes goes on with its old ones.
 *
 * @param options - Where, and how often.
 * @throws OptionError if an option is wrong; from `fit`, FileError if a file cannot be written, which for the folder is found out
 *   before the first step.
 * @see Keras `TensorBoard`, of which this writes the scalars: no graph, histograms, images, embeddings or profiles.
 *
 * @example
 * ```ts
 * import { tensorBoard } from "sconce";
 *
 * export const callbacks = [tensorBoard({ logDir: "runs/first", updateFreq: 100 })];
 * ```
 */
export function tensorBoard(options: TensorBoardOptions): TensorBoard {
  return new TensorBoard(options);
}
