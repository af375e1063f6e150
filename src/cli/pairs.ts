import { type ParallelText, type ReadParallelTextOptions, readParallelText } from "../index.ts";
import type { PairOptions } from "./config/schema.ts";

/** Reads the pairs of a file, or of two files with a sentence on each line. */
export async function readPairs(
  files: string | readonly [source: string, target: string],
  { format, columns, header, keys, emptySides }: PairOptions,
  signal?: AbortSignal,
): Promise<ParallelText> {
  const options: ReadParallelTextOptions = {
    ...(format === undefined ? {} : { format }),
    ...(columns === undefined ? {} : { columns }),
    ...(header === undefined ? {} : { header }),
    ...(keys === undefined ? {} : { keys }),
    ...(emptySides === undefined ? {} : { emptySides }),
    ...(signal === undefined ? {} : { signal }),
  };
  return readParallelText(files, options);
}
