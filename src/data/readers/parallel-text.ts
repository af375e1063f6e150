import { DataError } from "../../errors.ts";
import { checkKeys, checkSignal, integerOption, nameOption } from "../../options.ts";
import { ParallelText } from "../parallel-text.ts";
import { type Line, readLines } from "./lines.ts";

/** Options of {@link readParallelText}. */
export interface ReadParallelTextOptions {
  /** Columns of source and target in a table, from 0; default `[0, 1]`. Further columns are ignored. */
  columns?: readonly [source: number, target: number];
  /** What to do with a pair of which a side is empty or white space: leave it out and count it in `skipped` (default), or reject. */
  emptySides?: "skip" | "error";
  /** Stops reading; the rejection is its reason. */
  signal?: AbortSignal;
}

/** Columns under construction. */
interface Columns {
  sources: string[];
  targets: string[];
  skipped: number;
}

/**
 * Reads sentence pairs: a file of tab-separated values with a pair on each line, or two files with a sentence on each
 * line. Gzip is recognised by content. Quotes have no meaning, there is no header; white space around a sentence is
 * removed; lines without any text are left out and counted.
 *
 * @param path - The file, or the files of sources and targets.
 * @param options - Columns, empty sides, signal.
 * @returns The pairs in the order of the file.
 * @throws FileError if a file cannot be read; FormatError if it is damaged gzip; DataError naming the line that is not
 *   UTF-8 or lacks a column, if the two files differ in length, or if there is no pair at all.
 */
export async function readParallelText(
  path: string | readonly [source: string, target: string],
  options: ReadParallelTextOptions = {},
): Promise<ParallelText> {
  checkKeys("readParallelText", options, ["columns", "emptySides", "signal"]);
  checkSignal("readParallelText", options.signal);
  const emptySides = nameOption("readParallelText", "emptySides", options.emptySides ?? "skip", ["skip", "error"]);
  const columns: Columns = { sources: [], targets: [], skipped: 0 };
  const add = (source: string, target: string, place: string) => {
    const pair = [source.trim(), target.trim()] as const;
    if (pair[0] !== "" && pair[1] !== "") {
      columns.sources.push(pair[0]);
      columns.targets.push(pair[1]);
    } else if (emptySides === "skip") {
      columns.skipped += 1;
    } else {
      throw new DataError(`${place}: the ${pair[0] === "" ? "source" : "target"} is empty`);
    }
  };
  if (typeof path === "string") {
    const [source, target] = options.columns ?? [0, 1];
    integerOption("readParallelText", "columns", source, 0);
    integerOption("readParallelText", "columns", target, 0);
    await readTable(path, source, target, add, options.signal);
  } else {
    await readTwoFiles(path, add, options.signal);
  }
  if (columns.sources.length === 0) {
    const place = typeof path === "string" ? path : path.join(" and ");
    throw new DataError(`${place}: no sentence pairs (${columns.skipped} lines with an empty side)`);
  }
  return ParallelText.fromColumns(columns.sources, columns.targets, columns.skipped);
}

type Add = (source: string, target: string, place: string) => void;

async function readTable(path: string, source: number, target: number, add: Add, signal?: AbortSignal): Promise<void> {
  for await (const lines of readLines(path, signal)) {
    for (const { text, number } of lines) {
      const fields = text.split("\t");
      const place = `${path} line ${number}`;
      if (text.trim() === "") {
        add("", "", place);
        continue;
      }
      const pair = [fields[source], fields[target]] as const;
      if (pair[0] === undefined || pair[1] === undefined) {
        const needed = Math.max(source, target) + 1;
        throw new DataError(
          `${place}: ${fields.length} tab-separated column${fields.length === 1 ? "" : "s"}, expected at least ${needed}`,
        );
      }
      add(pair[0], pair[1], place);
    }
  }
}

async function readTwoFiles(paths: readonly [string, string], add: Add, signal?: AbortSignal): Promise<void> {
  const [sources, targets] = await Promise.all(paths.map((path) => allLines(path, signal)));
  if (sources!.length !== targets!.length) {
    throw new DataError(`${paths[0]} has ${sources!.length} lines but ${paths[1]} has ${targets!.length}`);
  }
  for (const [index, source] of sources!.entries()) {
    add(source.text, targets![index]!.text, `${paths[0]} and ${paths[1]} line ${source.number}`);
  }
}

async function allLines(path: string, signal?: AbortSignal): Promise<Line[]> {
  const all: Line[] = [];
  for await (const lines of readLines(path, signal)) for (const line of lines) all.push(line);
  return all;
}
