import { integerOption } from "../../options.ts";

/** What is drawn for a bootstrap. */
export interface BootstrapOptions {
  /** How often as many segments as there are are drawn; at least 1, default 1000. */
  samples?: number;
  /** Seed of what is drawn, an integer of at least 0; default 12345. */
  seed?: number;
}

/** Names of all options. */
export const bootstrapKeys: readonly (keyof BootstrapOptions)[] = ["samples", "seed"];

/** Checks options and fills them up. */
export function checkBootstrap(where: string, { samples, seed }: BootstrapOptions): Required<BootstrapOptions> {
  return {
    samples: integerOption(where, "samples", samples ?? 1000, 1),
    seed: integerOption(where, "seed", seed ?? 12345, 0),
  };
}
