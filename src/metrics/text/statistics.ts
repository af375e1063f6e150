import { DataError } from "../../errors.ts";
import { countTexts, queueTexts } from "../../native.ts";
import type { CheckedTexts } from "./references.ts";
import { countHere, countHereLater, type SegmentTable, type TextMetric } from "./text-metric.ts";

function table(metric: TextMetric, rows: Float64Array): SegmentTable {
  return { width: metric.width, rows };
}

function hypothesesOf(systems: readonly CheckedTexts[]): (readonly string[])[] {
  return systems.map(({ hypotheses }) => hypotheses);
}

/**
 * Statistics of each segment, counted at once.
 *
 * @param systems - Texts of one system, or of several with the same references, which are counted once.
 * @returns A table for each system.
 */
export function statistics(metric: TextMetric, systems: readonly CheckedTexts[]): SegmentTable[] {
  const here = systems.flatMap((texts) => countHere(metric, texts) ?? []);
  const { references, counts } = systems[0]!;
  const rows =
    here.length > 0 ? here : countTexts([metric.counts as object], hypothesesOf(systems), references, counts);
  return rows.map((own) => table(metric, own));
}

/**
 * Statistics of each segment for each metric, counted on the compute threads where the addon counts.
 *
 * @param systems - Texts of one system, or of several with the same references, which are counted once.
 * @returns For each metric a table for each system.
 */
export async function statisticsLater(
  metrics: readonly TextMetric[],
  systems: readonly CheckedTexts[],
  signal: AbortSignal | undefined,
): Promise<SegmentTable[][]> {
  const { references, counts } = systems[0]!;
  const native = metrics.map((metric) => metric.counts).filter((count) => typeof count !== "function");
  const made = native.length === 0 ? [] : await queueTexts(native, hypothesesOf(systems), references, counts, signal);
  const tables: SegmentTable[][] = [];
  for (const metric of metrics) {
    const own: SegmentTable[] = [];
    for (const texts of systems) {
      own.push(table(metric, (await countHereLater(metric, texts, signal)) ?? made.shift()!));
    }
    tables.push(own);
  }
  return tables;
}

/** How many segments a table has. */
export function segmentsOf({ width, rows }: SegmentTable): number {
  return rows.length / width;
}

/** Sums over all segments. */
export function summed({ width, rows }: SegmentTable): Float64Array {
  const sums = new Float64Array(width);
  for (let start = 0; start < rows.length; start += width) {
    for (let column = 0; column < width; column++) sums[column]! += rows[start + column]!;
  }
  return sums;
}

/**
 * Tables of two systems.
 *
 * @throws DataError unless both have as many rows of as many finite numbers.
 */
export function tablesOf(
  where: string,
  ...systems: readonly [baseline: readonly (readonly number[])[], system: readonly (readonly number[])[]]
): [SegmentTable, SegmentTable] {
  const width = systems[0][0]?.length ?? 0;
  if (width === 0) throw new DataError(`${where}: there are no statistics`);
  if (systems[0].length !== systems[1].length) {
    const counts = systems.map(({ length }) => length).join(" and ");
    throw new DataError(`${where}: both systems need statistics of the same segments, got ${counts}`);
  }
  return systems.map((rows, system) => {
    for (const [index, row] of rows.entries()) {
      if (Array.isArray(row) && row.length === width && row.every(Number.isFinite)) continue;
      const name = system === 0 ? "baseline" : "system";
      throw new DataError(`${where}: ${name}[${index}] must be a list of ${width} finite numbers`);
    }
    return { width, rows: Float64Array.from(rows.flat()) };
  }) as [SegmentTable, SegmentTable];
}
