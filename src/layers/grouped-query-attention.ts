import { OptionError } from "../errors.ts";
import { checkKeys, integerOption } from "../options.ts";
import {
  type MultiHeadAttentionLayer,
  type ProjectedAttentionOptions,
  projectedAttention,
  projectedOptions,
} from "./multi-head-attention.ts";

/** Options of {@link groupedQueryAttention}. */
export interface GroupedQueryAttentionOptions extends ProjectedAttentionOptions {
  /** Features of each head, at least 1. */
  headDim: number;
  /** Heads of the queries, a multiple of `numKeyValueHeads`. */
  numQueryHeads: number;
  /** Heads of keys and values, at least 1: each serves as many neighbouring heads of queries. */
  numKeyValueHeads: number;
}

/**
 * Attention whose keys and values have fewer heads than its queries, otherwise as `multiHeadAttention`; the output has the features
 * of the query.
 *
 * @param options - Heads and their features.
 * @returns A layer from a query `[batch, T, D]` and a value `[batch, S, E]` to `[batch, T, D]`, with weights
 * `query/kernel [D, numQueryHeads, headDim]`, `query/bias`, `key/kernel [E, numKeyValueHeads, headDim]`, `key/bias`, with
 * `useGate` `gate/kernel [D, numQueryHeads, headDim]` and `gate/bias`, those of `value`, `attentionOutput/kernel [numQueryHeads, headDim, D]` and `attentionOutput/bias [D]`. It throws `ShapeError` for
 * tensors that do not fit.
 * @throws OptionError if an option is unknown or out of range, or the heads do not divide.
 * @see `keras.layers.GroupQueryAttention`
 */
export function groupedQueryAttention(options: GroupedQueryAttentionOptions): MultiHeadAttentionLayer {
  const type = "groupedQueryAttention";
  checkKeys(type, options, [...projectedOptions, "headDim", "numQueryHeads", "numKeyValueHeads"]);
  const numQueryHeads = integerOption(type, "numQueryHeads", options.numQueryHeads, 1);
  const numKeyValueHeads = integerOption(type, "numKeyValueHeads", options.numKeyValueHeads, 1);
  if (numQueryHeads % numKeyValueHeads !== 0) {
    throw new OptionError(
      `${type}: numQueryHeads must be a multiple of numKeyValueHeads, got ${numQueryHeads} and ${numKeyValueHeads}`,
    );
  }
  return projectedAttention(type, options, {
    headDim: integerOption(type, "headDim", options.headDim, 1),
    numQueryHeads,
    numKeyValueHeads,
  });
}
