import { setImmediate } from "node:timers/promises";

/** Milliseconds after which other work of the process gets its turn. */
const most = 4;

/** Lets other work of the process run now and then, where many small items are worked on without waiting for anything. */
export class Turn {
  readonly #block: number;
  #count = 0;
  #since = performance.now();

  /** @param block - Items worked on between two looks at the clock. */
  constructor(block = 64) {
    this.#block = block;
  }

  /** Counts an item; gives a promise to wait for if others should have their turn. */
  count(): Promise<void> | undefined {
    this.#count += 1;
    if (this.#count % this.#block !== 0 || performance.now() - this.#since <= most) return undefined;
    return this.#give();
  }

  async #give(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
