import { StateError } from "../errors.ts";
import { Turn } from "./turn.ts";

/** Where the reading of a stream can go on: a place that its source knows, and how many items after it. It is kept as JSON. */
export interface Cursor {
  /** What only who made it understands. */
  readonly place: unknown;
  /** Items after the place. */
  readonly skip: number;
}

/** Some items of a stream, one after the other. */
export interface Block<T> {
  readonly items: readonly T[];
  /** Where the first of them lies; none in data that can be read from their start only. */
  readonly cursor: Cursor | undefined;
}

/** The items of an epoch from a cursor on; all of them without one. */
export type OpenBlocks<T> = (epoch: number, cursor: Cursor | undefined) => AsyncGenerator<Block<T>>;

/** The cursor so many items later. */
export function advanced(cursor: Cursor | undefined, count: number): Cursor | undefined {
  return cursor === undefined ? undefined : { place: cursor.place, skip: cursor.skip + count };
}

/** The cursor of items that were made of those at another cursor. */
export function nested(cursor: Cursor | undefined, wrap: (inner: Cursor) => unknown): Cursor | undefined {
  return cursor === undefined ? undefined : { place: wrap(cursor), skip: 0 };
}

/**
 * A cursor that comes from a file.
 *
 * @throws StateError if it is none.
 */
export function checkCursor(value: unknown): Cursor {
  const { place, skip } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  if (place === undefined || !Number.isSafeInteger(skip) || (skip as number) < 0) throw misplaced();
  return { place, skip: skip as number };
}

/** The error for a cursor that other data gave. */
export function misplaced(): StateError {
  return new StateError(
    "the saved place does not fit the data: they are read in another way than in the interrupted run",
  );
}

/** The items of blocks but for the first ones. */
export async function* dropped<T>(blocks: AsyncGenerator<Block<T>>, count: number): AsyncGenerator<Block<T>> {
  let left = count;
  for await (const block of blocks) {
    const { items, cursor } = block;
    if (left === 0) {
      yield block;
    } else {
      if (items.length > left) yield { items: items.slice(left), cursor: advanced(cursor, left) };
      left -= Math.min(left, items.length);
    }
  }
}

/** Each item changed. */
export function mapped<T, U>(open: OpenBlocks<T>, change: (item: T) => U | Promise<U>): OpenBlocks<U> {
  return async function* (epoch, cursor) {
    const turn = new Turn();
    for await (const block of open(epoch, cursor)) {
      const items: U[] = [];
      for (const item of block.items) {
        const made = change(item);
        items.push(made instanceof Promise ? await made : made);
        const waiting = turn.count();
        if (waiting !== undefined) await waiting;
      }
      yield { items, cursor: block.cursor };
    }
  };
}

/** Which items of the data are changed together. */
export interface ItemPlace {
  readonly epoch: number;
  /** The number of the first of them in the epoch. */
  readonly first: number;
}

/** Changes many items at a time, each into one. */
export type ChangeTogether<T, U> = (items: readonly T[], place: ItemPlace) => Promise<readonly U[]>;

/**
 * Many items changed at a time, each into one.
 *
 * @param size - Items that are changed together where they come one by one; blocks of data that can be resumed stay whole.
 */
export function mappedTogether<T, U>(open: OpenBlocks<T>, size: number, change: ChangeTogether<T, U>): OpenBlocks<U> {
  return resumed(async function* (epoch, place) {
    const { first: saved, inner } = (place ?? { first: 0 }) as { first?: unknown; inner?: unknown };
    if (!Number.isSafeInteger(saved)) throw misplaced();
    let first = saved as number;
    let gathered: T[] = [];
    const changed = async (items: readonly T[], cursor: Cursor | undefined): Promise<Block<U>> => {
      const own = first;
      first += items.length;
      const made = await change(items, { epoch, first: own });
      return { items: made, cursor: nested(cursor, (within) => ({ first: own, inner: within })) };
    };
    for await (const block of open(epoch, within(inner))) {
      if (block.cursor !== undefined) {
        yield await changed(block.items, block.cursor);
        continue;
      }
      gathered.push(...block.items);
      if (gathered.length < size) continue;
      yield await changed(gathered, undefined);
      gathered = [];
    }
    if (gathered.length > 0) yield await changed(gathered, undefined);
  });
}

/**
 * Items that are read from places on.
 *
 * @param read - The items of an epoch from a place on that an earlier block had in its cursor, or from the start.
 */
export function resumed<T>(read: (epoch: number, place: unknown) => AsyncGenerator<Block<T>>): OpenBlocks<T> {
  return (epoch, cursor) =>
    cursor === undefined ? read(epoch, undefined) : dropped(read(epoch, cursor.place), cursor.skip);
}

/** The cursor within a place, if there is a place. */
function within(place: unknown): Cursor | undefined {
  return place === undefined ? undefined : checkCursor(place);
}

/** The items that are kept. */
export function filtered<T>(open: OpenBlocks<T>, keep: (item: T) => boolean | Promise<boolean>): OpenBlocks<T> {
  return resumed(async function* (epoch, place) {
    for await (const { items, cursor } of open(epoch, within(place))) {
      const kept: T[] = [];
      for (const item of items) {
        const keeps = keep(item);
        if (keeps instanceof Promise ? await keeps : keeps) kept.push(item);
      }
      if (kept.length > 0) yield { items: kept, cursor: nested(cursor, (inner) => inner) };
    }
  });
}

/** The first items. */
export function taken<T>(open: OpenBlocks<T>, count: number): OpenBlocks<T> {
  return resumed(async function* (epoch, place) {
    const { left: saved, inner } = (place ?? { left: count }) as { left?: unknown; inner?: unknown };
    if (!Number.isSafeInteger(saved)) throw misplaced();
    let left = saved as number;
    if (left <= 0) return;
    for await (const { items, cursor } of open(epoch, within(inner))) {
      const before = left;
      yield { items: items.slice(0, left), cursor: nested(cursor, (own) => ({ left: before, inner: own })) };
      left -= items.length;
      if (left <= 0) return;
    }
  });
}

/** How items are put in groups. */
export interface Grouping<T> {
  /** A group that has so many items is complete. */
  readonly size: number;
  /** Whether a group begins with an item, asked for each of them in order; default no. */
  begins?(item: T): boolean;
}

/** Items in groups; the last one may be smaller. */
export function grouped<T>(open: OpenBlocks<T>, start: () => Grouping<T>): OpenBlocks<T[]> {
  return resumed(async function* (epoch, place) {
    const grouping = start();
    let group: T[] = [];
    let first: Cursor | undefined;
    const complete = (): Block<T[]> => {
      const block = { items: [group], cursor: nested(first, (inner) => inner) };
      group = [];
      return block;
    };
    for await (const { items, cursor } of open(epoch, within(place))) {
      for (const [index, item] of items.entries()) {
        if (grouping.begins?.(item) && group.length > 0) yield complete();
        if (group.length === 0) first = advanced(cursor, index);
        group.push(item);
        if (group.length === grouping.size) yield complete();
      }
    }
    if (group.length > 0) yield complete();
  });
}

/** Passes over a stream, one after the other; `epochOf` gives the epoch of each. */
export function repeated<T>(
  open: OpenBlocks<T>,
  count: number,
  epochOf: (epoch: number, pass: number) => number,
  nothing: () => Error,
): OpenBlocks<T> {
  return resumed(async function* (epoch, place) {
    const { pass: first, inner } = (place ?? { pass: 0 }) as { pass?: unknown; inner?: unknown };
    if (!Number.isSafeInteger(first)) throw misplaced();
    for (let pass = first as number; pass < count; pass++) {
      const from = pass === first ? within(inner) : undefined;
      let empty = from === undefined;
      for await (const { items, cursor } of open(epochOf(epoch, pass), from)) {
        if (items.length > 0) empty = false;
        yield { items, cursor: nested(cursor, (own) => ({ pass, inner: own })) };
      }
      if (empty && count === Number.POSITIVE_INFINITY) throw nothing();
    }
  });
}

/** What is made of a window of items, one item after the other. */
export interface WindowView<U> {
  readonly length: number;
  at(index: number): U | Promise<U>;
}

/**
 * Items worked on in windows, one after the other.
 *
 * @param size - Items of a window.
 * @param slice - Items that are given on together; 1 where each is large.
 */
export function windowed<T, U>(
  open: OpenBlocks<T>,
  size: number,
  slice: number,
  view: (items: readonly T[], epoch: number) => WindowView<U> | Promise<WindowView<U>>,
): OpenBlocks<U> {
  return async function* (epoch, cursor) {
    let skip = cursor?.skip ?? 0;
    const windows = grouped(open, () => ({ size }));
    const from = cursor === undefined ? undefined : { place: cursor.place, skip: 0 };
    for await (const { items, cursor: start } of windows(epoch, from)) {
      const part = await view(items[0]!, epoch);
      for (let index = Math.min(skip, part.length); index < part.length; index += slice) {
        const made: U[] = [];
        for (let next = index; next < Math.min(part.length, index + slice); next++) {
          const item = part.at(next);
          made.push(item instanceof Promise ? await item : item);
        }
        yield { items: made, cursor: advanced(start, index) };
      }
      skip = Math.max(0, skip - part.length);
    }
  };
}
