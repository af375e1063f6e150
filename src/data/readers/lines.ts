/** Lines of plain or gzip text files: strict UTF-8, bounded memory, every fault with its line. */
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";
import type { Gunzip } from "node:zlib";
import { DataError, FormatError, fromFile } from "../../errors.ts";

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

/** Imported when it is needed, because an import of the package should be fast. */
async function gunzip(): Promise<Gunzip> {
  return (await import("node:zlib")).createGunzip();
}

/** The unpacked bytes of a file; errors of the system and of gzip come typed and with the path. */
async function* chunksOf(path: string, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: 1 << 16 });
  try {
    const bytes = file[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const first = await bytes.next();
    if (first.done) return;
    const whole = prepend(first.value, bytes);
    const gzip = first.value[0] === 0x1f && first.value[1] === 0x8b;
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
 * @returns Blocks of lines in the order of the file.
 * @throws FileError if the file cannot be read, FormatError if it is damaged gzip, DataError naming the line that is not
 *   UTF-8 or is longer than 1 MiB.
 */
export async function* readLines(path: string, signal?: AbortSignal, keepReturns = false): AsyncGenerator<Line[]> {
  let number = 1;
  let left: Buffer[] = [];
  let leftLength = 0;
  for await (const chunk of chunksOf(path, signal)) {
    const end = chunk.lastIndexOf(lineFeed);
    if (end === -1) {
      left.push(chunk);
      leftLength += chunk.length;
      if (leftLength > longestLine) throw tooLong(path, number);
      continue;
    }
    const lines = decode(Buffer.concat([...left, chunk.subarray(0, end)]), path, number, keepReturns);
    left = [chunk.subarray(end + 1)];
    leftLength = chunk.length - end - 1;
    number += lines.length;
    yield lines;
  }
  if (leftLength > 0) yield decode(Buffer.concat(left), path, number, keepReturns);
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
