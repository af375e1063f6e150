import type { Logs } from "./history.ts";
import type { PassOptions } from "./options.ts";
import { verbosity } from "./options.ts";
import { type Output, Printer } from "./printer.ts";

/** How far a call has come. */
export interface ProgressEvent {
  /** What is going on: training, validation (also `evaluate`), or prediction. */
  readonly phase: "train" | "validate" | "predict";
  /** The epoch, counted from 0; 0 where there are none. */
  readonly epoch: number;
  /** Steps of this phase and epoch that are done. */
  readonly step: number;
  /** Steps of this phase and epoch, if that is known. */
  readonly steps: number | undefined;
  /** Mean loss so far in this phase and epoch; absent in prediction. */
  readonly loss?: number;
  /** Metrics and, with several outputs, losses so far. */
  readonly metrics: Readonly<Logs>;
  /** Valid target entries a second since the phase began. */
  readonly tokensPerSecond: number;
  /** Seconds since the phase began in this epoch. */
  readonly elapsedSeconds: number;
  /** Seconds until the phase ends in this epoch at this speed, if the number of steps is known. */
  readonly etaSeconds: number | undefined;
}

/** Where time comes from and text goes to; tests replace it. */
export interface Surroundings {
  /** Milliseconds. */
  now(): number;
  readonly output: Output;
}

/** The real clock and standard output. */
export function surroundings(): Surroundings {
  return { now: () => performance.now(), output: process.stdout };
}

const eventInterval = 50;

/** Tells `onProgress` and the terminal how far a call has come, not too often. */
export class Progress {
  readonly #listener: PassOptions["onProgress"];
  readonly #printer: Printer;
  readonly #now: () => number;
  #lastEvent = Number.NEGATIVE_INFINITY;
  #start = 0;
  #skipped = 0;
  #phase: ProgressEvent["phase"] = "train";
  #epoch = 0;
  #steps: number | undefined;
  #pending: ProgressEvent | undefined;

  constructor(where: string, options: PassOptions, epochs: number, around: Surroundings) {
    const mode = verbosity(where, options.verbose, where === "fit" ? "auto" : "silent");
    this.#listener = options.onProgress;
    this.#now = around.now;
    this.#printer = new Printer(mode, around.output, around.now, epochs);
  }

  /** Whether anybody listens: if not, values need not be computed. */
  get watched(): boolean {
    return this.#listener !== undefined || this.#printer.live;
  }

  /** A phase begins, perhaps after steps that an earlier run did. */
  begin(phase: ProgressEvent["phase"], epoch: number, steps: number | undefined, done = 0): void {
    this.#phase = phase;
    this.#epoch = epoch;
    this.#steps = steps;
    this.#skipped = done;
    this.#start = this.#now();
  }

  /** Says how many steps the phase has, where that was not known when it began. */
  expect(steps: number | undefined): void {
    this.#steps = steps;
  }

  /** A step is done; `values` is called only if somebody is told. */
  step(step: number, tokens: number, values: () => Logs): void {
    if (!this.watched) return;
    const now = this.#now();
    if (now - this.#lastEvent < eventInterval) return;
    this.#pending = this.#event(now, step, tokens, values());
    this.#tell();
  }

  /** The phase is over: its last event is told now, or held back until the next is due or the call ends. */
  end(step: number, tokens: number, values: () => Logs): void {
    if (!this.watched) return;
    const now = this.#now();
    this.#pending = this.#event(now, step, tokens, values());
    if (now - this.#lastEvent >= eventInterval) this.#tell();
  }

  /** The call is over: its last event. */
  close(): void {
    this.#tell();
  }

  /** An epoch, or the whole call, is over: what stays on the screen. */
  finish(logs: Logs, epoch: number, tokensPerSecond: number, elapsedSeconds: number): void {
    this.#printer.finish(logs, epoch, tokensPerSecond, elapsedSeconds);
  }

  /** Leaves the terminal in order after an error. */
  abandon(): void {
    this.#printer.abandon();
  }

  /** Seconds since the phase began. */
  get elapsedSeconds(): number {
    return (this.#now() - this.#start) / 1000;
  }

  #tell(): void {
    const event = this.#pending;
    if (event === undefined) return;
    this.#pending = undefined;
    this.#lastEvent = this.#now();
    this.#printer.draw(event);
    this.#listener?.(event);
  }

  #event(now: number, step: number, tokens: number, values: Logs): ProgressEvent {
    const { loss, ...metrics } = values;
    const elapsedSeconds = (now - this.#start) / 1000;
    const perStep = elapsedSeconds / Math.max(1, step - this.#skipped);
    return {
      phase: this.#phase,
      epoch: this.#epoch,
      step,
      steps: this.#steps,
      ...(loss === undefined ? {} : { loss }),
      metrics,
      tokensPerSecond: elapsedSeconds > 0 ? tokens / elapsedSeconds : 0,
      elapsedSeconds,
      etaSeconds: this.#steps === undefined ? undefined : perStep * Math.max(0, this.#steps - step),
    };
  }
}
