import { setImmediate } from "node:timers/promises";

/** What the queue reads of the options of a call. */
export interface QueueOptions {
  /** Most texts that are decoded together. */
  readonly batchSize: number;
  readonly signal: AbortSignal | undefined;
}

/** Decodes sources in one native call; `places` are those in their calls, the signal cancels it. */
export type DecodeBatch<Source, Options, Row> = (
  sources: readonly Source[],
  options: Options,
  signal: AbortSignal,
  places: readonly number[],
) => Promise<Row[]>;

/** A source that waits. */
interface Item<Source, Options, Row> {
  readonly call: Call<Source, Options, Row>;
  readonly place: number;
  readonly source: Source;
  /** The same for sources that may come together. */
  readonly group: number;
}

/** A call whose sources are decoded. */
interface Call<Source, Options, Row> {
  readonly options: Options;
  /** The same for calls that may come together. */
  readonly kind: string;
  /** Group by group, from short to long. */
  waiting: Item<Source, Options, Row>[];
  readonly rows: Row[];
  left: number;
  settled: boolean;
  resolve(rows: Row[]): void;
  reject(reason: unknown): void;
}

/**
 * Decodes for several calls at once: those that arrive while a batch computes are joined to the next ones. Calls take turns, and
 * only those with the same options come together, so that a call gets exactly what it would get alone.
 */
export class DecodingQueue<Source extends { readonly length: number }, Options extends QueueOptions, Row> {
  readonly #decode: DecodeBatch<Source, Options, Row>;
  readonly #groupOf: (source: Source) => number;
  readonly #calls: Call<Source, Options, Row>[] = [];
  #running = false;

  /**
   * @param decode - Decodes a batch.
   * @param groupOf - A number for each source: only those with the same come together.
   */
  constructor(decode: DecodeBatch<Source, Options, Row>, groupOf: (source: Source) => number) {
    this.#decode = decode;
    this.#groupOf = groupOf;
  }

  /**
   * Decodes sources.
   *
   * @returns One row for each, in their order.
   * @throws The signal's reason after an abort, and what the decoder throws.
   */
  async decode(sources: readonly Source[], options: Options): Promise<Row[]> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (sources.length === 0) return [];
    const { promise, call } = callOf<Source, Options, Row>(sources, options, this.#groupOf);
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

  async #batch(items: readonly Item<Source, Options, Row>[]): Promise<void> {
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
        items.map(({ place }) => place),
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

  #settle(call: Call<Source, Options, Row>, settle: () => void): void {
    if (call.settled) return;
    call.settled = true;
    call.waiting = [];
    settle();
  }

  /** The sources of the next batch: of the call that waited longest, filled up from others of its kind. */
  #take(): Item<Source, Options, Row>[] {
    this.#drop();
    const first = this.#calls.shift();
    if (first === undefined) return [];
    const { batchSize } = first.options;
    const { group } = first.waiting[0]!;
    const end = first.waiting.findIndex((item) => item.group !== group);
    const items = first.waiting.splice(0, Math.min(end === -1 ? first.waiting.length : end, batchSize));
    for (const other of this.#calls) {
      if (items.length === batchSize) break;
      if (first.kind !== other.kind) continue;
      const fits = other.waiting.filter((item) => item.group === group);
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

function callOf<Source extends { readonly length: number }, Options, Row>(
  sources: readonly Source[],
  options: Options,
  groupOf: (source: Source) => number,
): { promise: Promise<Row[]>; call: Call<Source, Options, Row> } {
  let resolve!: (rows: Row[]) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<Row[]>((...settle) => {
    [resolve, reject] = settle;
  });
  const rows: Row[] = [];
  const call: Call<Source, Options, Row> = {
    options,
    kind: kindOf(options),
    waiting: [],
    rows,
    left: sources.length,
    settled: false,
    resolve,
    reject,
  };
  call.waiting = sources
    .map((source, place) => ({ call, place, source, group: groupOf(source) }))
    .sort((a, b) => a.group - b.group || a.source.length - b.source.length);
  return { promise, call };
}

let calls = 0;

/** Calls with functions among their options stay by themselves. */
function kindOf(options: unknown): string {
  calls += 1;
  return JSON.stringify(options, (name, value) => {
    if (name === "signal") return undefined;
    return typeof value === "function" ? `call ${calls}` : value;
  });
}
