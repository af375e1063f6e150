import { OptionError } from "../../errors.ts";
import type { EncodeSettings } from "../../native-interface.ts";
import { booleanOption, checkKeys, integerOption, nameOption } from "../../options.ts";
import type { SpecialIds } from "../vocabulary.ts";
import type { TokenizerType } from "./options.ts";

/** How a text is cut at random, so that a model sees it cut in different ways. */
export interface SubwordSampling {
  /**
   * For `"bpe"`: the probability, from 0 to 1, with which each pair is left out in each step of merging (BPE-dropout; 0.1 is
   * usual). At 0 nothing is left to chance, at 1 no pair is merged.
   */
  dropout?: number;
  /**
   * For `"unigram"`: the exponent, at least 0, of the probabilities of the ways to cut a text (subword regularisation; 0.1 to 0.5
   * are usual): at 0 all ways are as probable, the larger it is, the more the best one is.
   */
  alpha?: number;
  /** Seed of the random numbers, an integer from 0 to 2^53 - 1; default 0. */
  seed?: number;
  /** Number of the first text, an integer from 0: texts draw by their numbers, counted from here. Default 0. */
  firstIndex?: number;
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Whether the begin token comes first; default `false`. */
  addBegin?: boolean;
  /** Whether the end token comes last; default `false`. */
  addEnd?: boolean;
  /** Most ids of a text, begin and end included, which stay when a text is truncated; at least their count, default no limit. */
  maxLength?: number;
  /** The side on which what is too much is taken away: `"right"` (default) or `"left"`. */
  truncationSide?: "left" | "right";
  /**
   * Cuts texts at random: what a text becomes follows from the seed and its number in the call, not from the texts beside it or
   * the number of threads. For `"bpe"` and `"unigram"`; default: always the best way.
   */
  sampling?: SubwordSampling;
}

/** Options of {@link Tokenizer.encodeBatch}. */
export interface EncodeBatchOptions extends EncodeOptions {
  /** Stops encoding; the rejection is its reason. */
  signal?: AbortSignal;
}

/** Names of {@link EncodeOptions}. */
export const encodingKeys = ["addBegin", "addEnd", "maxLength", "truncationSide", "sampling"] as const;

/** The name of the amount of chance, by type. */
const amounts = { bpe: "dropout", unigram: "alpha" } as const;

/**
 * The options as the addon takes them; throws OptionError.
 *
 * @param type - How the tokenizer makes tokens, if it can do so at random.
 */
export function checkEncoding(
  where: string,
  options: EncodeOptions,
  ids: SpecialIds,
  type: TokenizerType | undefined,
): EncodeSettings {
  const { addBegin, addEnd, maxLength, truncationSide, sampling } = options;
  const idOf = (name: "begin" | "end", isAdded: boolean): number => {
    if (isAdded && ids[name] < 0) {
      throw new OptionError(`${where}: the vocabulary has no ${name} token to add; name it when loading`);
    }
    return isAdded ? ids[name] : -1;
  };
  const begin = idOf("begin", booleanOption(where, "addBegin", addBegin ?? false));
  const end = idOf("end", booleanOption(where, "addEnd", addEnd ?? false));
  const least = Number(begin >= 0) + Number(end >= 0);
  const longest =
    maxLength === undefined ? -1 : Math.min(integerOption(where, "maxLength", maxLength, least), 2 ** 31 - 1);
  const keepEnd = nameOption(where, "truncationSide", truncationSide ?? "right", ["left", "right"]) === "left";
  return { begin, end, longest, keepEnd, ...checkSampling(`${where}: sampling`, sampling, type) };
}

/**
 * How texts are cut at random as the addon takes it; throws OptionError.
 *
 * @param type - How the tokenizer makes tokens, if it can do so at random.
 */
export function checkSampling(
  where: string,
  sampling: SubwordSampling | undefined,
  type: TokenizerType | undefined,
): Pick<EncodeSettings, "amount" | "seed" | "first"> {
  if (sampling === undefined) return { amount: -1, seed: 0, first: 0 };
  if (type !== "bpe" && type !== "unigram") {
    throw new OptionError(`${where}: this tokenizer cannot cut texts at random, only "bpe" and "unigram" can`);
  }
  const name = amounts[type];
  checkKeys(where, sampling, [name, "seed", "firstIndex"]);
  const amount = sampling[name];
  const most = type === "bpe" ? 1 : Number.MAX_VALUE;
  if (typeof amount !== "number" || !(amount >= 0 && amount <= most)) {
    throw new OptionError(
      `${where}: ${name} must be a number from 0${type === "bpe" ? " to 1" : " on"}, got ${String(amount)}`,
    );
  }
  return {
    amount,
    seed: integerOption(where, "seed", sampling.seed ?? 0, 0),
    first: integerOption(where, "firstIndex", sampling.firstIndex ?? 0, 0),
  };
}
