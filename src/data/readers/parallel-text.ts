import { DataError, OptionError } from "../../errors.ts";
import { booleanOption, checkKeys, checkSignal, nameOption } from "../../options.ts";
import { advanced, type Block, type Cursor, resumed } from "../blocks.ts";
import { Dataset } from "../dataset.ts";
import { ParallelText, type TextPair } from "../parallel-text.ts";
import { iterableReader, type PairIterable } from "./iterable.ts";
import { jsonLinesReader } from "./json-lines.ts";
import type { PairReader } from "./pair-reader.ts";
import { parquetReader } from "./parquet.ts";
import { type Column, tableReader } from "./table.ts";
import { twoFilesReader } from "./two-files.ts";

/** Format of a file that holds both sides of its pairs. */
export type ParallelTextFormat = "tsv" | "csv" | "jsonl" | "parquet";

/**
 * Where sentence pairs come from: a file, the files of sources and targets with a sentence on each line, or pairs that
 * are objects `{ source, target }` or two-element arrays.
 */
export type ParallelTextSource = string | readonly [source: string, target: string] | PairIterable;

/** Options of {@link readParallelText} and {@link streamParallelText}. */
export interface ReadParallelTextOptions {
  /**
   * Format of a single file; default by the end of its name, before `.gz`: `.csv` gives `"csv"`, `.jsonl` and `.ndjson`
   * give `"jsonl"`, `.parquet` gives `"parquet"`, all others `"tsv"`.
   */
  format?: ParallelTextFormat;
  /**
   * Columns of source and target in a table, by number from 0 or by name in the header; default `[0, 1]`. Others are ignored. In
   * Parquet, dots in a name lead into structures, as in `"translation.en"`.
   */
  columns?: readonly [source: number | string, target: number | string];
  /** Whether the first row of a table holds the names of the columns; default: whether `columns` has a name. */
  header?: boolean;
  /** Keys of source and target in JSON Lines, nested ones joined by dots as in `"translation.en"`; default `["source", "target"]`. */
  keys?: readonly [source: string, target: string];
  /** What to do with a pair of which a side is empty or white space: leave it out (default), or reject; `readParallelText` counts those left out in `skipped`. */
  emptySides?: "skip" | "error";
  /** Stops reading; the rejection is its reason. */
  signal?: AbortSignal;
}

/** Pairs left out because a side was empty. */
interface Tally {
  skipped: number;
}

/**
 * Reads sentence pairs into memory: from a file with a pair on each line, two files with a sentence on each line, or an
 * iterable.
 *
 * A file holds tab-separated values (quotes have no meaning), comma-separated values as in RFC 4180 (quoted fields may
 * contain commas, doubled quotes and line breaks), JSON Lines or Parquet (of which one group of rows after the other is held in
 * memory; a text that is null counts as empty). Gzip is recognised by content, a byte order mark is
 * dropped. White space around a sentence is removed; lines without any text are left out and counted.
 *
 * @param source - The file, the files of sources and targets, or the pairs.
 * @param options - Format, columns, keys, empty sides, signal.
 * @returns The pairs in their order.
 * @throws OptionError if an option is wrong or has no meaning for the format; FileError if a file cannot be read;
 *   FormatError if it is damaged gzip; DataError naming file and line if one is not UTF-8, is longer than 1 MiB, lacks a
 *   column or key, is no JSON, has fields too many or a quote that is not closed; DataError if the two files differ in
 *   lines, or if there is no pair at all.
 */
export async function readParallelText(
  source: ParallelTextSource,
  options: ReadParallelTextOptions = {},
): Promise<ParallelText> {
  const where = "readParallelText";
  const reader = readerOf(where, source, options);
  const tally = { skipped: 0 };
  const sources: string[] = [];
  const targets: string[] = [];
  for await (const { items } of blocksOf(reader, options, tally)) {
    for (const pair of items) {
      sources.push(pair.source);
      targets.push(pair.target);
    }
  }
  return ParallelText.fromColumns(sources, targets, tally.skipped);
}

/**
 * Sentence pairs that are read anew in each epoch, a block at a time, so that files of any size need little memory.
 *
 * Formats, options and errors are those of {@link readParallelText}; errors of the data come while the dataset is read.
 * Reading of files can go on at a saved place (`Dataset.resumable`), as long as they keep their size; that of iterables cannot.
 *
 * @param source - The file, the files of sources and targets, or the pairs; an iterable that can be read once only serves
 *   for one epoch, and a function of the epoch (from 0) gives one for each.
 * @param options - Format, columns, keys, empty sides, signal.
 * @returns The pairs in their order; `shuffle` and `bucketByLength` work on one window of them after the other.
 * @throws OptionError if an option is wrong or has no meaning for the format.
 */
export function streamParallelText(
  source: ParallelTextSource | ((epoch: number) => PairIterable),
  options: ReadParallelTextOptions = {},
): Dataset<TextPair> {
  const where = "streamParallelText";
  const pairs = async function* (reader: PairReader): AsyncGenerator<TextPair> {
    for await (const { items } of blocksOf(reader, options, { skipped: 0 })) yield* items;
  };
  if (typeof source === "function") {
    readerOf(where, [], options);
    return Dataset.fromIterable((epoch) => pairs(readerOf(where, source(epoch), options)));
  }
  const reader = readerOf(where, source, options);
  if (typeof source === "string" || isTwoFiles(source)) {
    return Dataset.fromBlocks(resumed((_, place) => blocksOf(reader, options, { skipped: 0 }, place)));
  }
  return Dataset.fromIterable("next" in source ? pairs(reader) : () => pairs(reader));
}

async function* blocksOf(
  reader: PairReader,
  { emptySides, signal }: ReadParallelTextOptions,
  tally: Tally,
  from?: unknown,
): AsyncGenerator<Block<TextPair>> {
  let count = 0;
  let cursor: Cursor | undefined;
  for await (const block of reader.blocks(signal, from)) {
    if (block.place !== undefined) cursor = { place: block.place, skip: 0 };
    const pairs: TextPair[] = [];
    for (const raw of block.pairs) {
      const pair = { source: raw.source.trim(), target: raw.target.trim() };
      if (pair.source !== "" && pair.target !== "") {
        pairs.push(pair);
      } else if (emptySides === "error") {
        const side = pair.source === "" ? "source" : "target";
        throw new DataError(`${reader.place(raw.number)}: the ${side} is empty`);
      } else {
        tally.skipped += 1;
      }
    }
    count += pairs.length;
    yield { items: pairs, cursor };
    cursor = advanced(cursor, pairs.length);
  }
  if (count === 0 && from === undefined) {
    throw new DataError(`${reader.name}: no sentence pairs (${tally.skipped} lines with an empty side)`);
  }
}

const keys = ["format", "columns", "header", "keys", "emptySides", "signal"] as const;

/** Checks source and options, and chooses how to read. */
function readerOf(where: string, source: ParallelTextSource, options: ReadParallelTextOptions): PairReader {
  checkKeys(where, options, keys);
  checkSignal(where, options.signal);
  if (options.emptySides !== undefined) nameOption(where, "emptySides", options.emptySides, ["skip", "error"]);
  if (typeof source === "string") return fileReader(where, source, options);
  if (isTwoFiles(source)) {
    refuse(where, options, ["format", "columns", "header", "keys"], "two files with a sentence on each line");
    return twoFilesReader(source);
  }
  if (typeof source !== "object" || source === null || !(Symbol.asyncIterator in source || Symbol.iterator in source)) {
    throw new OptionError(`${where}: expected the path of a file, an array of two paths, or an iterable of pairs`);
  }
  if (Array.isArray(source) && source.some((item) => typeof item === "string")) {
    throw new OptionError(`${where}: expected exactly two paths, of sources and of targets`);
  }
  refuse(where, options, ["format", "columns", "header", "keys"], "an iterable of pairs");
  return iterableReader(source);
}

function isTwoFiles(source: unknown): source is readonly [string, string] {
  return Array.isArray(source) && source.length === 2 && source.every((path) => typeof path === "string");
}

function fileReader(where: string, path: string, options: ReadParallelTextOptions): PairReader {
  const format = nameOption(where, "format", options.format ?? formatOf(path), ["tsv", "csv", "jsonl", "parquet"]);
  if (format === "jsonl") {
    refuse(where, options, ["columns", "header"], "JSON Lines, which take keys");
    return jsonLinesReader(path, couple(where, "keys", options.keys ?? ["source", "target"], isName));
  }
  refuse(where, options, ["keys"], "a table, which takes columns");
  const columns = couple<Column>(where, "columns", options.columns ?? [0, 1], isColumn);
  if (format === "parquet") {
    refuse(where, options, ["header"], "Parquet");
    return parquetReader(path, columns);
  }
  const named = columns.some((column) => typeof column === "string");
  const header = booleanOption(where, "header", options.header ?? named);
  if (named && !header) throw new OptionError(`${where}: names of columns need a header: leave out header: false`);
  return tableReader(path, { format, columns, header });
}

function formatOf(path: string): ParallelTextFormat {
  const ending = /\.([^./\\]+)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase();
  if (ending === "csv" || ending === "parquet") return ending;
  return ending === "jsonl" || ending === "ndjson" ? "jsonl" : "tsv";
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isColumn(value: unknown): value is Column {
  return isName(value) || (Number.isSafeInteger(value) && (value as number) >= 0);
}

function couple<T>(
  where: string,
  name: string,
  value: unknown,
  is: (item: unknown) => item is T,
): readonly [source: T, target: T] {
  if (Array.isArray(value) && value.length === 2) {
    const [source, target]: unknown[] = value;
    if (is(source) && is(target)) return [source, target];
  }
  const kinds = name === "keys" ? "names" : "names or numbers from 0";
  throw new OptionError(`${where}: ${name} must be an array of two ${kinds}, for source and target`);
}

function refuse(
  where: string,
  options: ReadParallelTextOptions,
  names: readonly (keyof ReadParallelTextOptions)[],
  what: string,
): void {
  const given = names.find((name) => options[name] !== undefined);
  if (given !== undefined) throw new OptionError(`${where}: ${given} has no meaning for ${what}`);
}
