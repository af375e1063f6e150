import { appendFile, mkdir, stat, truncate } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { fromFile, type SconceError } from "../../../errors.ts";
import { versionEvent } from "./event.ts";
import { record } from "./record.ts";

/** Where the writing of a file is, as a checkpoint keeps it. */
export interface EventFileState {
  /** Name of the file. */
  readonly name: string;
  /** Its bytes. */
  readonly bytes: number;
}

/** Names of event files; one of a checkpoint must not lead elsewhere. */
const pattern = /^events\.out\.tfevents\.\d+\.[\w.-]+\.v2$/;

/** Event files that this process has begun. */
let count = 0;

/** An event file, which is made by the first events. It is open only while they are appended, so that an error leaves nothing open. */
export class EventFile {
  readonly #folder: string;
  #name: string | undefined;
  #bytes = 0;
  /** Whether the file must be cut to its bytes. */
  #longer = false;

  /** @param folder - It is made. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** What is needed to go on with the file, or `null` before the first events. */
  get state(): EventFileState | null {
    return this.#name === undefined ? null : { name: this.#name, bytes: this.#bytes };
  }

  /** Goes on with a file: what was written after `state` is written again. */
  resume(state: EventFileState | null): void {
    const known = state !== null && pattern.test(state.name);
    this.#name = known ? state.name : undefined;
    this.#bytes = known ? state.bytes : 0;
    this.#longer = known;
  }

  /**
   * Appends events and closes the file.
   *
   * @throws FileError if it cannot be written.
   */
  async append(events: readonly Buffer[]): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
      if (this.#longer) await this.#cut();
      this.#longer = false;
      const first = this.#name === undefined ? [versionEvent(Date.now() / 1000)] : [];
      const name = this.#name ?? newName();
      const records = Buffer.concat([...first, ...events].map(record));
      await appendFile(join(this.#folder, name), records);
      this.#name = name;
      this.#bytes += records.length;
    } catch (error) {
      throw cannotWrite(join(this.#folder, this.#name ?? ""), error);
    }
  }

  /** Drops what an interrupted run wrote after its checkpoint; begins a new file if the old one has gone. */
  async #cut(): Promise<void> {
    const path = join(this.#folder, this.#name!);
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    if (size >= this.#bytes) return truncate(path, this.#bytes);
    this.#name = undefined;
    this.#bytes = 0;
  }
}

/** The error of a file or folder that cannot be written. */
export function cannotWrite(path: string, error: unknown): SconceError {
  return fromFile("tensorBoard: cannot write", path, error);
}

/** TensorBoard reads what has `tfevents` in its name, in alphabetical order. */
function newName(): string {
  const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, "0");
  const host = hostname().replace(/[^\w.-]/g, "_");
  const name = `events.out.tfevents.${seconds}.${host}.${process.pid}.${count}.v2`;
  count += 1;
  return name;
}
