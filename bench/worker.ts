import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** How a worker is started. */
export interface WorkerCommand {
  /** The program. */
  command: string;
  /** Its arguments. */
  parameters: string[];
  /** Environment variables beside those of this process. */
  environment?: Record<string, string>;
}

/** What a measured process of our side says of itself. */
export interface Description {
  machine: Record<string, unknown>;
  versions: Record<string, unknown>;
  threads: number;
}

/** A measured process of our side: a script of `bench/measured` in plain Node. */
export function measured(script: string, parameters: string[] = [], environment: Record<string, string> = {}) {
  const path = fileURLToPath(new URL(`measured/${script}`, import.meta.url));
  return { command: process.execPath, parameters: ["--expose-gc", path, ...parameters], environment };
}

/** A measured process of a peer: a script of `bench/peers`. */
export function peer(
  python: string,
  [script, ...parameters]: [string, ...string[]],
  environment: Record<string, string>,
) {
  const path = fileURLToPath(new URL(`peers/${script}`, import.meta.url));
  return { command: python, parameters: [path, ...parameters], environment };
}

/**
 * A child process that answers requests: one JSON object a line on its standard input and output, requests have
 * `command`, answers of failed ones `error`. Its standard error is kept for messages.
 */
export class Worker {
  readonly #child: ChildProcess | undefined;
  readonly #waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = [];
  #errors = "";
  #ended: Error | undefined;

  constructor({ command, parameters, environment }: WorkerCommand) {
    if (command === "") {
      this.#ended = new Error("not run: give --python");
      return;
    }
    this.#child = spawn(command, parameters, {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    this.#child.stdin!.on("error", () => {});
    this.#child.on("error", (error) => this.#end(error));
    this.#child.on("close", (code, signal) => {
      const last = this.#errors.trim().split("\n").at(-1) ?? "";
      this.#end(new Error(`${command} ended with ${signal ?? code}: ${last}`));
    });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const answer = JSON.parse(line) as { error?: string };
      const waiting = this.#waiting.shift();
      if (answer.error === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(answer.error));
    });
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }

  /** Sends a request and resolves to its answer; rejects if it fails or the process ends. */
  ask<Answer>(request: { command: string } & Record<string, unknown>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#waiting.push({ resolve: resolve as (answer: unknown) => void, reject });
      this.#child?.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** Ends the process. */
  close(): void {
    this.#child?.kill("SIGKILL");
  }
}

/** What our side says of the machine and itself, from a process of its own. */
export async function describeOurs(threads: number): Promise<Description> {
  const worker = new Worker(measured("describe.mjs", [], { SCONCE_THREADS: String(threads) }));
  try {
    return await worker.ask<Description>({ command: "describe" });
  } finally {
    worker.close();
  }
}

/** Does a part of a bench with one side unless it failed before; a failure is kept and told, and the others go on. */
export async function attempt(side: { error?: string }, name: string, work: () => Promise<unknown>): Promise<void> {
  if (side.error !== undefined) return;
  try {
    await work();
  } catch (error) {
    side.error = error instanceof Error ? error.message : String(error);
    console.log(`  ${name}: ${side.error}`);
  }
}
