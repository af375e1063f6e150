import { setImmediate } from "node:timers/promises";
import type { DecodedRow } from "./greedy.ts";

/** What one call wants of its texts. */
export interface QueueOptions {
  readonly maxNewTokens: number;
  /** Most texts that are decoded together. */
  readonly batchSize: number;
  readonly recompute: boolean;
  readonly outputAttentions?: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Decodes sources in one native call; the signal cancels it. */
export type DecodeBatch = (
  sources: readonly Int32Array[],
  options: Pick<QueueOptions, "maxNewTokens" | "recompute" | "outputAttentions">,
  signal: AbortSignal,
) => Promise<DecodedRow[]>;

/** A source that waits. */
interface Item {
  readonly call: Call;
  readonly place: number;
  readonly source: Int32Array;
}

/** A call whose sources are decoded. */
interface Call {
  readonly options: QueueOptions;
  /** From short to long. */
  waiting: Item[];
  readonly rows: DecodedRow[];
  left: number;
  settled: boolean;
  resolve(rows: DecodedRow[]): void;
  reject(reason: unknown): void;
}

/**
 * Decodes for several calls at once: those that arrive while a batch computes are joined to the next ones. Calls take turns, and
 * only those with the same options come together, so that a call gets exactly what it would get alone.
 */
export class DecodingQueue {
  readonly #decode: DecodeBatch;
  /** Whether only sources of equal length may come together: padding would be read. */
  readonly #exact: boolean;
  readonly #calls: Call[] = [];
  #running = false;

  constructor(decode: DecodeBatch, exact: boolean) {
    this.#decode = decode;
    this.#exact = exact;
  }

  /**
   * Decodes sources.
   *
   * @returns One row for each, in their order.
   * @throws The signal's reason after an abort, and what the decoder throws.
   */
  async decode(sources: readonly Int32Array[], options: QueueOptions): Promise<DecodedRow[]> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (sources.length === 0) return [];
    const { promise, call } = callOf(sources, options);
    const abort = () => this.#settle(call, () => call.reject(signal?.reason));
    signal?.addEventListener("abort", abort, { once: true });
    this.#calls.push(call);
    if (!this.#running) void this.#run();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Decodes batch by batch until no call waits. */
  async #run(): Promise<void> {
    this.#running = true;
    // Calls that are made in one go arrive until then.
    await setImmediate();
    for (let items = this.#take(); items.length > 0; items = this.#take()) await this.#batch(items);
    this.#running = false;
  }

  async #batch(items: readonly Item[]): Promise<void> {
    const calls = new Set(items.map(({ call }) => call));
    const cancel = new AbortController();
    // One call's signal must not stop what others wait for.
    const check = () => {
      if ([...calls].every(({ settled }) => settled)) cancel.abort();
    };
    for (const { options } of calls) options.signal?.addEventListener("abort", check, { once: true });
    try {
      const rows = await this.#decode(
        items.map(({ source }) => source),
        items[0]!.call.options,
        cancel.signal,
      );
      for (const [index, { call, place }] of items.entries()) {
        call.rows[place] = rows[index]!;
        call.left -= 1;
        if (call.left === 0) this.#settle(call, () => call.resolve(call.rows));
      }
    } catch (error) {
      for (const call of calls) this.#settle(call, () => call.reject(error));
    } finally {
      for (const { options } of calls) options.signal?.removeEventListener("abort", check);
    }
  }

  #settle(call: Call, settle: () => void): void {
    if (call.settled) return;
    call.settled = true;
    call.waiting = [];
    settle();
  }

  /** The sources of the next batch: of the call that waited longest, filled up from others of its kind. */
  #take(): Item[] {
    this.#drop();
    const first = this.#calls.shift();
    if (first === undefined) return [];
    const { batchSize } = first.options;
    const items = first.waiting.splice(0, this.#exact ? equalCount(first.waiting, batchSize) : batchSize);
    for (const other of this.#calls) {
      if (items.length === batchSize) break;
      if (!sameKind(first, other)) continue;
      const fits = this.#exact
        ? other.waiting.filter(({ source }) => source.length === items[0]!.source.length)
        : other.waiting;
      const more = new Set(fits.slice(0, batchSize - items.length));
      other.waiting = other.waiting.filter((item) => !more.has(item));
      items.push(...more);
    }
    // Its turn comes again after the others.
    this.#calls.push(first);
    this.#drop();
    return items;
  }

  /** Forgets calls with nothing left to begin. */
  #drop(): void {
    for (let index = this.#calls.length - 1; index >= 0; index--) {
      if (this.#calls[index]!.waiting.length === 0) this.#calls.splice(index, 1);
    }
  }
}

function callOf(sources: readonly Int32Array[], options: QueueOptions): { promise: Promise<DecodedRow[]>; call: Call } {
  let resolve!: Call["resolve"];
  let reject!: Call["reject"];
  const promise = new Promise<DecodedRow[]>((...settle) => {
    [resolve, reject] = settle;
  });
  const rows: DecodedRow[] = [];
  const call: Call = { options, waiting: [], rows, left: sources.length, settled: false, resolve, reject };
  call.waiting = sources
    .map((source, place) => ({ call, place, source }))
    .sort((a, b) => a.source.length - b.source.length);
  return { promise, call };
}

/** How many from the front have the length of the first, at most `limit`. */
function equalCount(items: readonly Item[], limit: number): number {
  const length = items[0]!.source.length;
  const end = items.findIndex(({ source }) => source.length !== length);
  return Math.min(end === -1 ? items.length : end, limit);
}

function sameKind({ options: a }: Call, { options: b }: Call): boolean {
  const kinds = ["maxNewTokens", "batchSize", "recompute"] as const;
  const attentions = (a.outputAttentions ?? false) === (b.outputAttentions ?? false);
  return attentions && kinds.every((kind) => a[kind] === b[kind]);
}
