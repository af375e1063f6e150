import { appendFile, mkdir, stat, truncate } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fromFile, OptionError } from "../../errors.ts";
import { booleanOption, checkKeys } from "../../options.ts";
import type { Logs } from "../history.ts";
import type { Callback, CallbackState } from "./callback.ts";

/** Options of {@link csvLogger}. */
export interface CsvLoggerOptions {
  /** The file; its folder is made. */
  path: string;
  /** What separates values, default `","`. */
  separator?: string;
  /** Whether an old file is continued instead of replaced, default `false`. */
  append?: boolean;
}

interface Saved {
  names: string[] | null;
  bytes: number;
}

/** {@link csvLogger}. */
export class CsvLogger implements Callback {
  readonly #path: string;
  readonly #separator: string;
  readonly #append: boolean;
  #names: string[] | null = null;
  #header = true;
  #bytes = 0;
  #ready = false;

  /** @internal */
  constructor(options: CsvLoggerOptions) {
    const where = "csvLogger";
    checkKeys(where, options, ["path", "separator", "append"]);
    if (typeof options.path !== "string" || options.path === "") throw new OptionError(`${where}: path must be a path`);
    const { separator = "," } = options;
    if (typeof separator !== "string" || separator === "") {
      throw new OptionError(`${where}: separator must be a string with at least one character`);
    }
    this.#path = resolve(options.path);
    this.#separator = separator;
    this.#append = booleanOption(where, "append", options.append ?? false);
  }

  /** @internal */
  async onTrainBegin(): Promise<void> {
    this.#names = null;
    this.#ready = false;
    this.#bytes = this.#append ? await this.#size() : 0;
    this.#header = this.#bytes === 0;
  }

  /** @internal */
  async onEpochEnd(epoch: number, logs: Logs): Promise<void> {
    await this.#prepare();
    let text = "";
    if (this.#names === null) {
      this.#names = Object.keys(logs).sort();
      if (this.#header) text += this.#line(["epoch", ...this.#names]);
    }
    const names = this.#names;
    text += this.#line([String(epoch), ...names.map((name) => (name in logs ? String(logs[name]) : "NA"))]);
    await this.#file(() => appendFile(this.#path, text));
    this.#bytes += Buffer.byteLength(text);
  }

  /** @internal */
  getState(): CallbackState {
    const values: Saved = { names: this.#names, bytes: this.#bytes };
    return { values };
  }

  /** @internal */
  setState(state: CallbackState): void {
    const { names, bytes } = state.values as Saved;
    this.#names = names;
    this.#bytes = bytes;
    this.#header = bytes === 0;
  }

  /** Cuts the file: what an interrupted run wrote after its checkpoint is written again. */
  async #prepare(): Promise<void> {
    if (this.#ready) return;
    await this.#file(async () => {
      await mkdir(dirname(this.#path), { recursive: true });
      await appendFile(this.#path, "");
      this.#bytes = Math.min(this.#bytes, await this.#size());
      await truncate(this.#path, this.#bytes);
    });
    this.#ready = true;
  }

  async #size(): Promise<number> {
    return stat(this.#path).then(
      ({ size }) => size,
      () => 0,
    );
  }

  #line(values: readonly string[]): string {
    return `${values.join(this.#separator)}\n`;
  }

  async #file(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      throw fromFile("csvLogger: cannot write", this.#path, error);
    }
  }
}

/**
 * Writes the values of each epoch as a line of a CSV file: `epoch`, counted from 0, then the others by name. The first epoch
 * decides on the columns; what is missing later is written as `NA`.
 *
 * @param options - Where, and how values are separated.
 * @throws OptionError if an option is wrong; from `fit`, FileError if the file cannot be written.
 * @see Keras `CSVLogger`.
 */
export function csvLogger(options: CsvLoggerOptions): CsvLogger {
  return new CsvLogger(options);
}
