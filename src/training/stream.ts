import type { DatasetPosition } from "../data/dataset-iterator.ts";
import type { BatchSource, StepData } from "./source.ts";

/** Takes the batches of a source one after the other, and prepares the next one ahead. */
export class BatchStream {
  readonly #source: BatchSource;
  readonly #rolls: boolean;
  readonly #signal: AbortSignal | undefined;
  #reader: AsyncGenerator<StepData>;
  #position: DatasetPosition;
  #next: Promise<StepData | undefined> | undefined;

  /**
   * @param source - The data.
   * @param position - Pass and step to begin at.
   * @param rolls - Whether another pass begins when one has ended.
   * @param signal - Ends the waiting for data.
   */
  constructor(source: BatchSource, position: DatasetPosition, rolls: boolean, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#rolls = rolls;
    this.#signal = signal;
    this.#position = { ...position };
    this.#reader = source.read(position);
  }

  /** Pass and step of the batch that {@link take} gives next. */
  get position(): DatasetPosition {
    return { ...this.#position };
  }

  /** Begins to prepare the next batch; an error comes out of the next {@link take}. */
  prefetch(): void {
    if (this.#next !== undefined) return;
    this.#next = this.#read();
    this.#next.catch(() => undefined);
  }

  /** Whether there is no batch left; waits for the next one. */
  async exhausted(): Promise<boolean> {
    this.prefetch();
    return (await this.#wait(this.#next!)) === undefined;
  }

  /** The next batch, or `undefined` after the last. */
  async take(): Promise<StepData | undefined> {
    this.prefetch();
    const data = await this.#wait(this.#next!);
    this.#next = undefined;
    if (data !== undefined) {
      const { epoch, step } = this.#ahead;
      this.#position = { epoch, step: step + 1, ...(data.next === undefined ? {} : { cursor: data.next }) };
    }
    return data;
  }

  /** Lets the data go, without waiting for what is being read. */
  close(): void {
    this.#reader.return(undefined).catch(() => undefined);
  }

  /** Where the batch lies that is prepared. */
  #ahead = { epoch: 0, step: 0 };

  async #read(): Promise<StepData | undefined> {
    let { epoch, step } = this.#position;
    let result = await this.#reader.next();
    if (result.done === true && this.#rolls) {
      epoch += 1;
      step = 0;
      this.#reader = this.#source.read({ epoch, step: 0 });
      result = await this.#reader.next();
    }
    this.#ahead = { epoch, step };
    return result.done === true ? undefined : result.value;
  }

  async #wait<T>(promise: Promise<T>): Promise<T> {
    const signal = this.#signal;
    if (signal === undefined) return promise;
    signal.throwIfAborted();
    let abort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
    });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}
