import { readFileSync } from "node:fs";
import type { SegmentTable } from "../../src/metrics/text/text-metric.ts";

/** A file of golden numbers of metrics. */
export function goldenMetrics<Golden>(name: string): Golden {
  return JSON.parse(readFileSync(new URL(`../golden/metrics/${name}`, import.meta.url), "utf8")) as Golden;
}

/** Options of Python as those of TypeScript. */
export function camelCase(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), value]),
  );
}

/** Whether a number is another to 1e-9, relative to the larger of it and 1. */
export function near(value: number, expected: number, tolerance = 1e-9): boolean {
  return Math.abs(value - expected) <= tolerance * Math.max(1, Math.abs(expected));
}

/** A signature without the version at its end. */
export function withoutVersion(signature: string): string {
  return signature.replace(/version:.*$/, "");
}

/** Sums over the segments with given numbers, for each list of numbers. */
export function sumsOver({ width, rows }: SegmentTable, samples: readonly (readonly number[])[]): Float64Array[] {
  return samples.map((sample) => {
    const sums = new Float64Array(width);
    for (const segment of sample) {
      for (let column = 0; column < width; column++) sums[column]! += rows[segment * width + column]!;
    }
    return sums;
  });
}
