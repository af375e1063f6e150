import { setImmediate } from "node:timers/promises";

/** Items worked on between two looks at the clock. */
const block = 64;
/** Milliseconds after which other work of the process gets its turn. */
const most = 4;

/** Lets other work of the process run now and then, where many small items are worked on without waiting for anything. */
export class Turn {
  #count = 0;
  #since = performance.now();

  /** Counts an item; gives a promise to wait for if others should have their turn. */
  count(): Promise<void> | undefined {
    this.#count += 1;
    if (this.#count % block !== 0 || performance.now() - this.#since <= most) return undefined;
    return this.#give();
  }

  async #give(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
