import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { fromFile } from "../errors.ts";
import { modelFiles } from "../saving/config.ts";
import { recoverFolder, removeFolder } from "../saving/folder.ts";
import { runFiles } from "../saving/run-folder.ts";
import { CommandError } from "./command.ts";
import { difference, type ResolvedConfig } from "./config/config.ts";
import { parseConfig } from "./config/file.ts";
import { valueAt } from "./config/places.ts";

/** The folder of a training run: configuration, log, samples, the best and the last model, and what a rerun goes on from. */
export class RunFolder {
  readonly path: string;
  /** Whether an earlier run left a checkpoint. */
  readonly resumed: boolean;

  private constructor(path: string, resumed: boolean) {
    this.path = path;
    this.resumed = resumed;
  }

  /**
   * Looks whether a run can begin or go on in a folder.
   *
   * @throws CommandError if the folder holds something else, or a run that is over or has another configuration.
   */
  static async open(config: ResolvedConfig): Promise<RunFolder> {
    const path = config.out;
    await recoverFolder(join(path, runFiles.checkpoint));
    const names = await readdir(path).catch((error: NodeJS.ErrnoException): string[] => {
      if (error.code === "ENOENT") return [];
      throw fromFile("cannot read", path, error);
    });
    if (names.length === 0) return new RunFolder(path, false);
    if (names.includes(runFiles.result) || names.includes(modelFiles.config)) {
      throw new CommandError(`${path} holds a trained model already: choose another --out or remove the folder`);
    }
    if (!names.includes(runFiles.config)) throw new CommandError(`${path} holds other files: choose another --out`);
    const mark = join(path, runFiles.config);
    const text = await readFile(mark, "utf8").catch((error: unknown) => {
      throw fromFile("cannot read", mark, error);
    });
    const before = parseConfig(mark, text);
    const other = difference(before, config);
    if (other !== undefined) {
      const value = JSON.stringify(valueAt(before, other)) ?? "nothing";
      throw new CommandError(
        `${path} holds a run with ${other} ${value}: give the same configuration to resume it, or choose another --out`,
      );
    }
    return new RunFolder(path, names.includes(runFiles.checkpoint));
  }

  /** The place of one of its files or folders. */
  place(name: keyof typeof runFiles): string {
    return join(this.path, runFiles[name]);
  }

  /** Marks the folder as that of a run. */
  async begin(config: ResolvedConfig): Promise<void> {
    await this.#write("config", stringify(config));
  }

  /** Marks the run as over: it cannot be resumed any more. */
  async finish(result: unknown): Promise<void> {
    await this.#write("result", `${JSON.stringify(result, null, 1)}\n`);
    await removeFolder(this.place("checkpoint"));
  }

  /** Whether there is a checkpoint now. */
  async hasCheckpoint(): Promise<boolean> {
    const names = await readdir(this.path).catch((): string[] => []);
    return names.includes(runFiles.checkpoint);
  }

  /** Writes a file whole or not at all. */
  async #write(name: keyof typeof runFiles, content: string): Promise<void> {
    const path = this.place(name);
    try {
      await mkdir(this.path, { recursive: true });
      await writeFile(`${path}.new`, content);
      await rename(`${path}.new`, path);
    } catch (error) {
      throw fromFile("cannot write", path, error);
    }
  }
}
