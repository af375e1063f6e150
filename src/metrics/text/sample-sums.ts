import { queueSampleSums, sampleSums } from "../../native.ts";
import type { BootstrapOptions } from "./draws.ts";
import type { SegmentTable } from "./text-metric.ts";

/** Samples whose sums are held together. */
const block = 4096;

/** Sums over each of the drawn samples of segments, made at once. */
export function* sumsOfSamples(table: SegmentTable, drawn: Required<BootstrapOptions>): Generator<Float64Array> {
  const { width, rows } = table;
  for (const [first, count] of blocks(drawn.samples)) {
    yield* each(sampleSums(rows, width, drawn.seed, first, count), width);
  }
}

/** The same on the compute threads, many at a time. */
export async function* sumsOfSamplesLater(
  table: SegmentTable,
  drawn: Required<BootstrapOptions>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Iterable<Float64Array>> {
  const { width, rows } = table;
  for (const [first, count] of blocks(drawn.samples)) {
    yield each(await queueSampleSums(rows, width, drawn.seed, first, count, signal), width);
  }
}

function* blocks(samples: number): Generator<[first: number, count: number]> {
  for (let first = 0; first < samples; first += block) yield [first, Math.min(block, samples - first)];
}

function* each(sums: Float64Array, width: number): Generator<Float64Array> {
  for (let start = 0; start < sums.length; start += width) yield sums.subarray(start, start + width);
}
