import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { FileError, FormatError, fromFile, OptionError } from "../errors.ts";
import { recoverFolder, removeFolder, replaceFolder } from "../saving/folder.ts";
import type { BackupAndRestore } from "./callbacks/backup-and-restore.ts";
import type { CallbackState } from "./callbacks/callback.ts";
import { decodeState, encodeState } from "./state-document.ts";
import type { Trainable } from "./trainable.ts";
import type { RunIdentity, TrainingState } from "./training-state.ts";

const marker = "training.json";
const weightsFile = "model.safetensors";
const optimizerFile = "optimizer.safetensors";
const statesFile = "states.safetensors";
const callbacksFile = "callbacks.bin";

/** What was read from a checkpoint; weights and optimiser state are loaded by {@link Checkpoint.load}. */
export interface SavedRun {
  readonly identity: RunIdentity;
  readonly state: TrainingState;
}

/** The checkpoint folder of a run. */
export class Checkpoint {
  readonly #options: BackupAndRestore;
  readonly #folder: string;
  readonly #model: Trainable;
  readonly #identity: RunIdentity;
  #steps = 0;

  constructor(options: BackupAndRestore, model: Trainable, identity: RunIdentity) {
    this.#options = options;
    this.#folder = resolve(options.folder);
    this.#model = model;
    this.#identity = identity;
  }

  /**
   * Reads where an interrupted run is.
   *
   * @returns `undefined` if there is no checkpoint.
   * @throws FormatError if it is damaged; FileError if it cannot be read, or if the folder holds something else.
   */
  static async read(folder: string): Promise<SavedRun | undefined> {
    const place = resolve(folder);
    await recoverFolder(place);
    const names = await list(place);
    if (names.length === 0) return undefined;
    if (!names.includes(marker)) {
      throw new FileError(`backupAndRestore: ${place} holds other files and no ${marker}: choose a new folder`);
    }
    const path = join(place, marker);
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      throw fromFile("cannot read", path, error);
    });
    const { identity, state, lengths } = decodeState(text, path);
    const arrays = await readArrays(join(place, callbacksFile), lengths);
    return { identity, state: { ...state, callbacks: joined(state.callbacks, arrays) } };
  }

  /** Loads weights, optimiser state, and states that layers carry, of a run that equals this one but for its epochs. */
  async load(saved: SavedRun): Promise<void> {
    for (const name of new Set([...Object.keys(saved.identity), ...Object.keys(this.#identity)])) {
      const [before, now] = [saved.identity[name], this.#identity[name]];
      if (before !== now) {
        throw new OptionError(
          `fit: the interrupted run in ${this.#folder} had ${name} ${before}, this one has ${now}: pass the same arguments, or delete the folder to begin anew`,
        );
      }
    }
    await this.#model.loadWeights(join(this.#folder, weightsFile), { format: "sconce" });
    await this.#model.trainer().loadState(join(this.#folder, optimizerFile));
    if (this.#model.stateful === true) await this.#model.handle().loadStates(join(this.#folder, statesFile));
  }

  /** A step is done; its state can be saved if it updated the weights. */
  async afterStep(updated: boolean, state: () => TrainingState): Promise<void> {
    const { saveFreq } = this.#options;
    if (saveFreq === "epoch") return;
    this.#steps += 1;
    if (updated && this.#steps >= saveFreq) await this.save(state());
  }

  /** An epoch is over. */
  async afterEpoch(state: () => TrainingState): Promise<void> {
    if (this.#options.saveFreq === "epoch") await this.save(state());
  }

  /** Replaces the folder. */
  async save(state: TrainingState): Promise<void> {
    this.#steps = 0;
    await replaceFolder(this.#folder, marker, async (temporary) => {
      await this.#model.saveWeights(join(temporary, weightsFile));
      await this.#model.trainer().saveState(join(temporary, optimizerFile));
      if (this.#model.stateful === true) await this.#model.handle().saveStates(join(temporary, statesFile));
      const arrays = state.callbacks.flatMap((callback) => callback?.arrays ?? []);
      await writeFile(
        join(temporary, callbacksFile),
        arrays.map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)),
      );
      await writeFile(join(temporary, marker), encodeState(this.#identity, state));
    });
  }

  /** Training is over. */
  async finish(): Promise<void> {
    if (this.#options.deleteCheckpoint) await removeFolder(this.#folder);
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw fromFile("cannot read", folder, error);
  }
}

async function readArrays(path: string, lengths: readonly number[]): Promise<Float32Array[]> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fromFile("cannot read", path, error);
  });
  const size = lengths.reduce((sum, length) => sum + 4 * length, 0);
  if (bytes.length !== size) {
    throw new FormatError(
      `${path} is damaged: expected ${size} bytes, got ${bytes.length}; delete the folder to begin anew`,
    );
  }
  const values = new Float32Array(size / 4);
  new Uint8Array(values.buffer).set(bytes);
  let start = 0;
  return lengths.map((length) => {
    start += length;
    return values.slice(start - length, start);
  });
}

/** Gives the callbacks their arrays back. */
function joined(states: readonly (CallbackState | null)[], arrays: readonly Float32Array[]): (CallbackState | null)[] {
  let start = 0;
  return states.map((state) => {
    if (state === null) return null;
    start += state.arrays?.length ?? 0;
    return { values: state.values, arrays: arrays.slice(start - (state.arrays?.length ?? 0), start) };
  });
}
