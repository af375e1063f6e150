import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, fromFile } from "../errors.ts";
import { recoverFolder } from "../saving/folder.ts";
import { CommandError } from "./command.ts";
import type { TrainOptions } from "./train-options.ts";

/** Marks a folder in which a training run was begun and has not ended, with the options of the run. */
const mark = "training.json";

/** Options that may differ when a run is resumed: they change nothing that was computed so far. */
const free = ["out", "saveEvery"];

/** Where a training run keeps what it needs to go on. */
export class TrainingFolder {
  readonly path: string;
  /** Folder of the checkpoint. */
  readonly checkpoint: string;
  /** Whether an earlier run left a checkpoint. */
  readonly resumed: boolean;

  private constructor(path: string, resumed: boolean) {
    this.path = path;
    this.checkpoint = join(path, "checkpoint");
    this.resumed = resumed;
  }

  /**
   * Looks whether a run can begin or go on in a folder.
   *
   * @throws CommandError if the folder holds something else, or a run with other options; FormatError if its mark is damaged.
   */
  static async open(options: TrainOptions): Promise<TrainingFolder> {
    const path = options.out;
    await recoverFolder(path);
    const names = await readdir(path).catch((error: NodeJS.ErrnoException): string[] => {
      if (error.code === "ENOENT") return [];
      throw fromFile("cannot read", path, error);
    });
    if (names.length === 0) return new TrainingFolder(path, false);
    if (!names.includes(mark)) {
      throw new CommandError(
        names.includes("config.json")
          ? `${path} holds a trained model already: choose another --out or remove the folder`
          : `${path} holds other files: choose another --out`,
      );
    }
    const before = await readMark(join(path, mark));
    const other = [...new Set([...Object.keys(before), ...Object.keys(options)])].find(
      (name) => !free.includes(name) && before[name] !== (options as Record<string, unknown>)[name],
    );
    if (other !== undefined) {
      throw new CommandError(
        `${path} holds a run with ${other} ${String(before[other])}: give the same options to resume it, or choose another --out`,
      );
    }
    return new TrainingFolder(path, names.includes("checkpoint"));
  }

  /** The file that marks the folder; it is saved with the model, which at the end is saved without. */
  static markOf(options: TrainOptions): Record<string, string> {
    return { [mark]: `${JSON.stringify(options, null, 1)}\n` };
  }

  /** Whether there is a checkpoint now. */
  async hasCheckpoint(): Promise<boolean> {
    const names = await readdir(this.path).catch((): string[] => []);
    return names.includes("checkpoint");
  }
}

async function readMark(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw fromFile("cannot read", path, error);
  });
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new FormatError(`${path} does not hold the options of a run`);
}
