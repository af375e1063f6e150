import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption, nameOption } from "../options.ts";
import { commonOptions, Layer, type LayerOptions } from "./layer.ts";
import { providersOf } from "./providers.ts";

/** How distances count: by trained numbers of buckets (T5), or by multiples of the distance that are fixed for each head (ALiBi). */
export type RelativePositionType = "buckets" | "alibi";

/** Options of {@link relativePositionBias}. */
export interface RelativePositionBiasOptions extends LayerOptions {
  /** Default `"buckets"`. */
  type?: RelativePositionType;
  /** Heads of the attention, at least 1. */
  numHeads: number;
  /** Buckets of distances; at least 2, with `bidirectional` an even number of at least 4. Default 32. */
  buckets?: number;
  /** The distance from which on all fall into the last bucket; default 128. */
  maxDistance?: number;
  /** Whether keys behind the query have half of the buckets; otherwise they have the bucket of distance 0. Default `true`. */
  bidirectional?: boolean;
  /** How the numbers of the buckets begin; default `"uniform"`, between -0.05 and 0.05. */
  embeddingsInitializer?: InitializerName | Initializer;
}

/** What is added to scores for distances. */
export interface RelativePositionBiasLayer extends Layer {
  /**
   * @param query - What attends, `[batch, T, ...]`; only its length counts.
   * @param key - What is attended to, `[batch, S, ...]`, if it is another sequence; its places are counted from 0 as well.
   * @returns `[1, numHeads, T, S]`, for the option `attentionBias` of a call of `multiHeadAttention`.
   */
  (query: SymbolicTensor, key?: SymbolicTensor): SymbolicTensor;
}

class RelativePositionBias extends Layer {
  call(...inputs: unknown[]): SymbolicTensor {
    return this.apply(inputs.filter((input) => input !== undefined))[0]!;
  }
}

/**
 * What is added to the scores of attention for the distance between query and key. Layers of a stack may share it: call it once
 * and give its output to each. A translator that writes token by token goes on counting.
 *
 * @param options - Heads, and how distances count.
 * @returns A layer with the weight `embeddings [buckets, numHeads]` if it has buckets. Those of one distance each come first, the others
 * grow by the same factor up to `maxDistance`.
 * @throws OptionError if an option is unknown or out of range.
 * @see Raffel et al. (2020) for buckets, Press, Smith and Lewis (2022) for ALiBi
 */
export function relativePositionBias(options: RelativePositionBiasOptions): RelativePositionBiasLayer {
  const where = "relativePositionBias";
  checkKeys(where, options, [
    ...commonOptions,
    "type",
    "numHeads",
    "buckets",
    "maxDistance",
    "bidirectional",
    "embeddingsInitializer",
  ]);
  const type = nameOption(where, "type", options.type ?? "buckets", ["buckets", "alibi"]);
  const bidirectional = booleanOption(where, "bidirectional", options.bidirectional ?? true);
  const buckets = integerOption(where, "buckets", options.buckets ?? 32, bidirectional ? 4 : 2);
  if (bidirectional && buckets % 2 !== 0) {
    throw new OptionError(`${where}: buckets must be an even number with bidirectional, got ${buckets}`);
  }
  const exact = Math.floor(buckets / (bidirectional ? 4 : 2));
  const embeddings = resolveInitializer(where, "embeddingsInitializer", options.embeddingsInitializer ?? "uniform");
  return new RelativePositionBias({
    type: where,
    common: options,
    options: {
      type,
      numHeads: integerOption(where, "numHeads", options.numHeads, 1),
      buckets,
      maxDistance: integerOption(where, "maxDistance", options.maxDistance ?? 128, exact + 1),
      bidirectional,
      embeddingsInitializer: embeddings.document,
    },
    providers: type === "buckets" ? providersOf({ embeddings }) : {},
  }) as unknown as RelativePositionBiasLayer;
}
