import { OptionError } from "../../errors.ts";
import { booleanOption, checkKeys, integerOption } from "../../options.ts";
import type { Callback } from "./callback.ts";

/** Options of {@link backupAndRestore}. */
export interface BackupOptions {
  /** Folder of the checkpoint; it is made, and holds nothing else. */
  folder: string;
  /** When to save: after each epoch, or after so many steps, from 1; default `"epoch"`. */
  saveFreq?: "epoch" | number;
  /** Whether the checkpoint is deleted when training is over, default `true`. */
  deleteCheckpoint?: boolean;
}

/** {@link backupAndRestore}. */
export class BackupAndRestore implements Callback {
  /** Folder of the checkpoint. */
  readonly folder: string;
  /** When to save. */
  readonly saveFreq: "epoch" | number;
  /** Whether the checkpoint is deleted when training is over. */
  readonly deleteCheckpoint: boolean;

  /** @internal */
  constructor(options: BackupOptions) {
    const where = "backupAndRestore";
    checkKeys(where, options, ["folder", "saveFreq", "deleteCheckpoint"]);
    if (typeof options.folder !== "string" || options.folder === "") {
      throw new OptionError(`${where}: folder must be a path`);
    }
    const { saveFreq = "epoch" } = options;
    this.folder = options.folder;
    this.saveFreq = saveFreq === "epoch" ? saveFreq : integerOption(where, "saveFreq", saveFreq, 1);
    this.deleteCheckpoint = booleanOption(where, "deleteCheckpoint", options.deleteCheckpoint ?? true);
  }

  /** The training loop does the work; this marks the object as a callback. @internal */
  onTrainBegin(): void {}
}

/**
 * Saves a checkpoint while `fit` runs, and goes on there when the same `fit` is called again after the process died or the call
 * was aborted: in the middle of an epoch at the exact batch, with the same numbers as an uninterrupted run, bit for bit.
 *
 * The checkpoint holds weights, optimiser state, the place in the data, the running values, the history, and the states of the
 * callbacks (`getState`). At every moment a whole one lies in the folder. A call that its `signal` aborts saves before it rejects.
 *
 * @param options - Where and when.
 * @throws From `fit`: StateError if the data come from a plain iterable, which cannot be entered anywhere, or from a file that has changed; OptionError if the
 *   arguments differ from those of the interrupted run; FormatError if the checkpoint is damaged; FileError if it cannot be
 *   read or written.
 * @see Keras `BackupAndRestore`.
 */
export function backupAndRestore(options: BackupOptions): BackupAndRestore {
  return new BackupAndRestore(options);
}
