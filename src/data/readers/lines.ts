/** Lines of plain or gzip text files: strict UTF-8, bounded memory, every fault with its line. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import type { Gunzip } from "node:zlib";
import { DataError, FormatError, fromFile, StateError } from "../../errors.ts";
import { misplaced } from "../blocks.ts";

/** The longest line accepted, in bytes: a file without line ends must not fill the memory. */
export const longestLine = 1 << 20;

const lineFeed = 0x0a;

/** A line of a file. */
export interface Line {
  /** The text without its end (`\n` or `\r\n`). */
  text: string;
  /** Its number, from 1. */
  number: number;
}

/** Some lines of a file, and where the first of them lies. */
export interface LineBlock {
  readonly lines: Line[];
  readonly place: LinePlace;
}

/** A place in a file at which a line begins. */
export interface LinePlace {
  /** Bytes before it, after unpacking. */
  readonly offset: number;
  /** Number of the line, from 1. */
  readonly line: number;
  /** Bytes of the file, by which another file is told. */
  readonly size: number;
}

const firstPlace = { offset: 0, line: 1 } as const;

/**
 * A place that comes from a checkpoint.
 *
 * @throws StateError if it is none.
 */
export function checkLinePlace(value: unknown): LinePlace {
  const { offset, line, size } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const isCount = (number: unknown, least: number) => Number.isSafeInteger(number) && (number as number) >= least;
  if (!isCount(offset, 0) || !isCount(line, 1) || !isCount(size, 0)) throw misplaced();
  return { offset, line, size } as LinePlace;
}

/** The size of a file. @throws StateError if it is not what it was. */
async function sizeOf(path: string, place: LinePlace | undefined): Promise<number> {
  const { size } = await stat(path).catch((error: unknown) => {
    throw fromFile("cannot read", path, error);
  });
  if (place === undefined || place.size === size) return size;
  throw new StateError(
    `${path} has ${size} bytes, but ${place.size} when the place in it was saved: a run can only go on with the same file`,
  );
}

/** Imported when it is needed, because an import of the package should be fast. */
async function gunzip(): Promise<Gunzip> {
  return (await import("node:zlib")).createGunzip();
}

/** The unpacked bytes of a file from one on; errors of the system and of gzip come typed and with the path. */
async function* chunksOf(path: string, signal: AbortSignal | undefined, offset: number): AsyncGenerator<Buffer> {
  let left = offset;
  if (left > 0 && !(await isGzip(path))) {
    yield* unpacked(path, signal, left);
    return;
  }
  for await (const chunk of unpacked(path, signal, 0)) {
    if (left < chunk.length) yield left === 0 ? chunk : chunk.subarray(left);
    left -= Math.min(left, chunk.length);
  }
}

/** Whether a file begins as gzip does. */
async function isGzip(path: string): Promise<boolean> {
  for await (const chunk of createReadStream(path, { end: 1 }) as AsyncIterable<Buffer>) return isGzipStart(chunk);
  return false;
}

function isGzipStart(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

async function* unpacked(path: string, signal: AbortSignal | undefined, start: number): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: 1 << 16, start });
  try {
    const bytes = file[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const first = await bytes.next();
    if (first.done) return;
    const whole = prepend(first.value, bytes);
    const gzip = start === 0 && isGzipStart(first.value);
    // pipeline, not pipe: it passes the read errors of the file on and closes both ends when reading stops early.
    const content: AsyncIterable<Buffer> = gzip ? pipeline(whole, await gunzip(), () => {}) : whole;
    for await (const chunk of content) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code.startsWith("Z_")) {
      throw new FormatError(`${path}: damaged or cut off gzip file (${(error as Error).message})`, { cause: error });
    }
    throw error instanceof Error && "syscall" in error ? fromFile("cannot read", path, error) : error;
  } finally {
    file.destroy();
  }
}

async function* prepend(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/**
 * Reads a text file block by block; gzip is recognised by its first bytes, not by its name. A byte order mark at the
 * start is dropped.
 *
 * @param path - The file.
 * @param signal - Stops reading; the rejection is its reason.
 * @param keepReturns - Whether the `\r` of a line that ends with `\r\n` stays, for formats in which it may be content.
 * @param from - Place of an earlier block, to begin with it; default the start.
 * @returns Blocks of lines in the order of the file.
 * @throws FileError if the file cannot be read, FormatError if it is damaged gzip, DataError naming the line that is not
 *   UTF-8 or is longer than 1 MiB, StateError if the file changed since the place was saved.
 */
export async function* readLineBlocks(
  path: string,
  signal?: AbortSignal,
  keepReturns = false,
  from?: LinePlace,
): AsyncGenerator<LineBlock> {
  const size = await sizeOf(path, from);
  let { offset, line: number } = from ?? firstPlace;
  let left: Buffer[] = [];
  let leftLength = 0;
  for await (const chunk of chunksOf(path, signal, offset)) {
    const end = chunk.lastIndexOf(lineFeed);
    if (end === -1) {
      left.push(chunk);
      leftLength += chunk.length;
      if (leftLength > longestLine) throw tooLong(path, number);
      continue;
    }
    const block = Buffer.concat([...left, chunk.subarray(0, end)]);
    const lines = decode(block, path, number, keepReturns);
    left = [chunk.subarray(end + 1)];
    leftLength = chunk.length - end - 1;
    const place = { offset, line: number, size };
    offset += block.length + 1;
    number += lines.length;
    yield { lines, place };
  }
  if (leftLength === 0) return;
  yield { lines: decode(Buffer.concat(left), path, number, keepReturns), place: { offset, line: number, size } };
}

/** {@link readLineBlocks} without the places. */
export async function* readLines(path: string, signal?: AbortSignal): AsyncGenerator<Line[]> {
  for await (const { lines } of readLineBlocks(path, signal)) yield lines;
}

function tooLong(path: string, number: number): DataError {
  return new DataError(
    `${path} line ${number}: longer than ${longestLine} bytes; is it a text file with a sentence on each line?`,
  );
}

function decode(block: Buffer, path: string, firstNumber: number, keepReturns: boolean): Line[] {
  // Fatal, or damaged bytes would quietly become replacement characters; the mark is taken off by hand, because the
  // decoder would take it off every block.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text: string;
  try {
    text = decoder.decode(block);
  } catch {
    throw notUtf8(block, path, firstNumber);
  }
  if (firstNumber === 1 && text.startsWith("\ufeff")) text = text.slice(1);
  return text.split("\n").map((line, index) => {
    const number = firstNumber + index;
    if (line.length > longestLine) throw tooLong(path, number);
    return { text: !keepReturns && line.endsWith("\r") ? line.slice(0, -1) : line, number };
  });
}

function notUtf8(block: Buffer, path: string, firstNumber: number): DataError {
  let number = firstNumber;
  let start = 0;
  while (start <= block.length) {
    const found = block.indexOf(lineFeed, start);
    const end = found === -1 ? block.length : found;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(block.subarray(start, end));
    } catch {
      break;
    }
    start = end + 1;
    number += 1;
  }
  return new DataError(`${path} line ${number}: not valid UTF-8; convert the file to UTF-8 first`);
}
