import { philox } from "../../data/random.ts";
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

/** Marks the random numbers of this module among others with the same key. */
const stream = 0x626f6f74;

/** Segments of each sample, by number. */
export function* draws({ seed, samples }: Required<BootstrapOptions>, count: number): Generator<Uint32Array> {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  const words = [0, 0, 0, 0];
  for (let sample = 0; sample < samples; sample++) {
    const drawn = new Uint32Array(count);
    for (let index = 0; index < count; index++) {
      if (index % 4 === 0) philox([index, sample, 0, stream], key, words);
      drawn[index] = Math.floor((words[index % 4]! / 2 ** 32) * count);
    }
    yield drawn;
  }
}
