import type { Logs } from "./history.ts";
import type { ProgressEvent } from "./progress.ts";

/** Where text is written: standard output, or a stand-in in tests. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const drawInterval = 100;
const barWidth = 20;

/** Draws a bar on a terminal, or writes a line an epoch. */
export class Printer {
  readonly #mode: "progress" | "lines" | "silent";
  readonly #output: Output;
  readonly #now: () => number;
  readonly #epochs: number;
  #lastDraw = Number.NEGATIVE_INFINITY;
  #drawn = false;

  /**
   * @param mode - What is printed; a bar becomes lines where there is no terminal.
   * @param output - Where to.
   * @param now - Milliseconds.
   * @param epochs - The epoch after the last, infinite if that is not known; 0 for a call without epochs.
   */
  constructor(mode: "auto" | "progress" | "lines" | "silent", output: Output, now: () => number, epochs: number) {
    const terminal = output.isTTY === true;
    this.#mode = mode === "silent" || mode === "lines" ? mode : terminal ? "progress" : "lines";
    this.#output = output;
    this.#now = now;
    this.#epochs = epochs;
  }

  /** Whether something is drawn while a phase runs. */
  get live(): boolean {
    return this.#mode === "progress";
  }

  /** Draws the bar, at most ten times a second. */
  draw(event: ProgressEvent): void {
    if (!this.live) return;
    const now = this.#now();
    if (now - this.#lastDraw < drawInterval) return;
    this.#lastDraw = now;
    this.#drawn = true;
    const width = Math.max(20, (this.#output.columns ?? 80) - 1);
    this.#output.write(`\r\u001b[2K${barLine(event, this.#epochs).slice(0, width)}`);
  }

  /** The line that stays. */
  finish(logs: Logs, epoch: number, tokensPerSecond: number, elapsedSeconds: number): void {
    if (this.#mode === "silent") return;
    const head = this.#epochs > 0 ? `${epochLabel(epoch, this.#epochs)}: ` : "";
    const parts = [...valueTexts(logs), `${count(tokensPerSecond)} tokens/s`, duration(elapsedSeconds)];
    this.#output.write(`${this.#drawn ? "\r\u001b[2K" : ""}${head}${parts.join(", ")}\n`);
    this.#drawn = false;
    this.#lastDraw = Number.NEGATIVE_INFINITY;
  }

  /** Ends a line that was begun. */
  abandon(): void {
    if (this.#drawn) this.#output.write("\n");
    this.#drawn = false;
  }
}

function barLine(event: ProgressEvent, epochs: number): string {
  const { step, steps, etaSeconds } = event;
  const label = epochs > 0 ? epochLabel(event.epoch, epochs) : event.phase;
  const phase = epochs > 0 && event.phase !== "train" ? ` ${event.phase}` : "";
  const filled = steps === undefined ? 0 : Math.floor((barWidth * step) / steps);
  const bar = steps === undefined ? "" : ` [${"=".repeat(filled)}${".".repeat(barWidth - filled)}]`;
  const values = event.loss === undefined ? event.metrics : { loss: event.loss, ...event.metrics };
  const parts = [...valueTexts(values), `${count(event.tokensPerSecond)} tokens/s`];
  if (etaSeconds !== undefined) parts.push(`${duration(etaSeconds)} left`);
  return `${label}${phase}${bar} ${step}${steps === undefined ? "" : `/${steps}`} ${parts.join(", ")}`;
}

function epochLabel(epoch: number, epochs: number): string {
  return `epoch ${epoch + 1}${epochs === Number.POSITIVE_INFINITY ? "" : `/${epochs}`}`;
}

function valueTexts(logs: Readonly<Logs>): string[] {
  return Object.entries(logs).map(([name, value]) => `${name} ${number(value)}`);
}

/** Four digits after the point, or scientific where that shows nothing. */
function number(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : value.toFixed(4);
}

function count(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : value.toFixed(0);
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds < 9.95 ? seconds.toFixed(1) : whole} s`;
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}
