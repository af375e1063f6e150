import { philox } from "../../data/random.ts";
import type { SubwordSampling, Tokenizer } from "../../data/tokenizer.ts";
import { checkSampling } from "../../data/tokenizers/encoding.ts";
import { OptionError } from "../../errors.ts";
import { checkKeys } from "../../options.ts";

/** How the texts of one side are cut at random: `dropout` for tokenizers of type `"bpe"`, `alpha` for `"unigram"`. */
export type SubwordRegularizationSide = Pick<SubwordSampling, "dropout" | "alpha">;

/** How `Seq2Seq.fit` cuts texts at random, anew in each epoch; a side that is left out is always cut in the best way. */
export interface SubwordRegularization {
  /** Of the texts that are read. */
  source?: SubwordRegularizationSide;
  /** Of the texts that are written. */
  target?: SubwordRegularizationSide;
}

const sides = ["source", "target"] as const;

/** Marks the stream of these random numbers among others with the same key. */
const stream = 0x73756277;

/**
 * Checks how texts are cut at random.
 *
 * @throws OptionError if the amount is wrong, or the tokenizer cannot cut texts at random.
 */
export function checkChance(where: string, chance: SubwordRegularizationSide, { canSample, type }: Tokenizer): void {
  checkKeys(where, chance, ["dropout", "alpha"]);
  checkSampling(where, chance, canSample ? type : undefined);
}

/** How the texts of a side, by its number, are cut in an epoch. */
export function samplingOf(
  chance: SubwordRegularizationSide,
  seed: number,
  epoch: number,
  side: number,
): SubwordSampling {
  const counter = [side, epoch >>> 0, Math.floor(epoch / 2 ** 32), stream] as const;
  const [high = 0, low = 0] = philox(counter, [seed >>> 0, Math.floor(seed / 2 ** 32)]);
  return { ...chance, seed: high * 2 ** 21 + (low >>> 11) };
}

/** How the sides of pairs are cut, if at random. */
export type PairSampling = Partial<Record<(typeof sides)[number], SubwordSampling>>;

/** Says how pairs are cut in an epoch: what a pair becomes follows from seed, epoch and the number of the pair alone. */
export class RegularizedCutting {
  readonly #chances: SubwordRegularization;
  readonly #seed: number;

  /**
   * @param chances - Of each side.
   * @param tokenizers - Of each side.
   * @param seed - An integer from 0 to 2^53 - 1.
   * @throws OptionError if an amount is wrong, or a tokenizer cannot cut texts at random.
   */
  constructor(
    where: string,
    chances: SubwordRegularization,
    tokenizers: Readonly<Record<(typeof sides)[number], Tokenizer>>,
    seed: number,
  ) {
    checkKeys(where, chances, sides);
    for (const side of sides) {
      const chance = chances[side];
      if (chance !== undefined) checkChance(`${where}: ${side}`, chance, tokenizers[side]);
    }
    if (chances.source === undefined && chances.target === undefined) {
      throw new OptionError(`${where}: give source, target or both`);
    }
    this.#chances = chances;
    this.#seed = seed;
  }

  /** How pairs of an epoch are cut, of which the first has a number. */
  at(epoch: number, firstIndex: number): PairSampling {
    const cutting: PairSampling = {};
    for (const [number, side] of sides.entries()) {
      const chance = this.#chances[side];
      if (chance !== undefined) cutting[side] = { ...samplingOf(chance, this.#seed, epoch, number), firstIndex };
    }
    return cutting;
  }
}
