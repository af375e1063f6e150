import { appendFile, truncate } from "node:fs/promises";
import { fromFile } from "../errors.ts";
import type { Callback, CallbackState, Logs, SaveOptions, Seq2Seq } from "../index.ts";

/** Saves the model after each epoch, and beside it that of the best epoch. */
export class KeepModels implements Callback {
  readonly #translator: Seq2Seq;
  readonly #places: { readonly best: string; readonly last: string };
  readonly #monitor: string;
  readonly #options: SaveOptions;
  #best: number | null = null;

  /**
   * @param monitor - The value that the best model has: the least, or of accuracies, BLEU and the like the largest.
   * @param options - Further files of each model.
   */
  constructor(
    translator: Seq2Seq,
    places: { readonly best: string; readonly last: string },
    monitor: string,
    options: SaveOptions,
  ) {
    this.#translator = translator;
    this.#places = places;
    this.#monitor = monitor;
    this.#options = options;
  }

  async onEpochEnd(_epoch: number, logs: Logs): Promise<void> {
    const value = logs[this.#monitor];
    const sign = /loss$/i.test(this.#monitor) ? 1 : -1;
    if (value !== undefined && (this.#best === null || sign * value < sign * this.#best)) {
      this.#best = value;
      await this.#translator.save(this.#places.best, this.#options);
    }
    await this.saveLast();
  }

  /** Saves the weights as they are now. */
  async saveLast(): Promise<void> {
    await this.#translator.save(this.#places.last, this.#options);
  }

  getState(): CallbackState {
    return { values: this.#best };
  }

  setState({ values }: CallbackState): void {
    this.#best = values as number | null;
  }
}

/** Adds the samples of each epoch to a file, which a resumed run cuts to where it goes on. */
export class SampleFile implements Callback {
  readonly #path: string;
  readonly #samples: Callback;
  readonly #lines: string[] = [];
  #bytes = 0;
  #ready = false;

  /**
   * @param path - The file.
   * @param make - Makes the callback that gives the lines.
   * @param print - Takes each line too.
   */
  constructor(path: string, make: (print: (line: string) => void) => Callback, print: (line: string) => void) {
    this.#path = path;
    this.#samples = make((line) => {
      this.#lines.push(line);
      print(line);
    });
  }

  async onEpochEnd(
    epoch: number,
    logs: Logs,
    model: Parameters<NonNullable<Callback["onEpochEnd"]>>[2],
  ): Promise<void> {
    this.#lines.length = 0;
    await this.#samples.onEpochEnd?.(epoch, logs, model);
    const text = [`epoch ${epoch + 1}`, ...this.#lines].map((line) => `${line.replace(/[\r\n]+/g, " ")}\n`).join("");
    try {
      if (!this.#ready) {
        await appendFile(this.#path, "");
        await truncate(this.#path, this.#bytes);
      }
      await appendFile(this.#path, text);
    } catch (error) {
      throw fromFile("cannot write", this.#path, error);
    }
    this.#ready = true;
    this.#bytes += Buffer.byteLength(text);
  }

  getState(): CallbackState {
    return { values: this.#bytes };
  }

  setState({ values }: CallbackState): void {
    this.#bytes = values as number;
  }
}
