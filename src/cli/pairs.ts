import { OptionError } from "../errors.ts";
import {
  type ParallelText,
  type ParallelTextFormat,
  type ReadParallelTextOptions,
  readParallelText,
} from "../index.ts";

/** Formats of a file of pairs. */
export const formats = ["tsv", "csv", "jsonl"] as const satisfies readonly ParallelTextFormat[];

/** What the flags say about files of pairs. */
export interface PairFlags {
  readonly format?: ParallelTextFormat;
  /** Two numbers or names, joined by a comma. */
  readonly columns?: string;
  /** Two keys, joined by a comma. */
  readonly keys?: string;
}

/** The lines of a help text on {@link PairFlags}. */
export const pairsHelp = `  --format NAME            tsv, csv or jsonl, default by the end of the name (.csv, .jsonl or .ndjson, before .gz), else tsv
  --columns A,B            columns of source and target in a table: numbers from 0, or names in its header; default 0,1
  --keys A,B               keys of source and target in JSON Lines, such as translation.en; default source,target
`;

/**
 * The two names in a flag.
 *
 * @throws OptionError if there are not two.
 */
export function twoNames(where: string, name: string, value: unknown): [string, string] {
  const parts = typeof value === "string" ? value.split(",").map((part) => part.trim()) : [];
  const [source, target] = parts;
  if (parts.length === 2 && source && target) return [source, target];
  throw new OptionError(`${where}: ${name} must be two names with a comma between them, for source and target`);
}

/** Reads the pairs of a file, or of two files with a sentence on each line. */
export async function readPairs(
  where: string,
  path: string,
  target: string | undefined,
  { format, columns, keys }: PairFlags,
  signal?: AbortSignal,
): Promise<ParallelText> {
  const options: ReadParallelTextOptions = {};
  if (format !== undefined) options.format = format;
  if (keys !== undefined) options.keys = twoNames(where, "keys", keys);
  if (columns !== undefined) {
    const [first, second] = twoNames(where, "columns", columns);
    options.columns = [column(first), column(second)];
  }
  if (signal !== undefined) options.signal = signal;
  return readParallelText(target === undefined ? path : [path, target], options);
}

function column(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}
