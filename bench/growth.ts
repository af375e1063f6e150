import { median, rounded } from "./statistics.ts";

/** Growth of a series of resident sizes in MiB. */
export interface Growth {
  /** Median of the first quarter. */
  firstMiB: number;
  /** Median of the last quarter. */
  lastMiB: number;
  leastMiB: number;
  mostMiB: number;
  /** From the first quarter to the last. */
  growthPercent: number;
}

/**
 * Growth from the first quarter of the samples to the last. Single samples rise and fall by two pages of the allocators, 2 MiB
 * each: what stays is told by medians.
 */
export function growth(sizes: readonly number[]): Growth {
  const quarter = Math.ceil(sizes.length / 4);
  const [firstMiB, lastMiB] = [median(sizes.slice(0, quarter)), median(sizes.slice(-quarter))];
  const growthPercent = rounded((100 * (lastMiB - firstMiB)) / firstMiB);
  return { firstMiB, lastMiB, leastMiB: Math.min(...sizes), mostMiB: Math.max(...sizes), growthPercent };
}

/** One line about it. */
export function describeGrowth({ firstMiB, lastMiB, leastMiB, mostMiB, growthPercent }: Growth): string {
  return (
    `${firstMiB.toFixed(1)} MiB in the first quarter, ${lastMiB.toFixed(1)} MiB in the last (medians): growth ` +
    `${growthPercent} %; least ${leastMiB.toFixed(1)} MiB, most ${mostMiB.toFixed(1)} MiB`
  );
}
