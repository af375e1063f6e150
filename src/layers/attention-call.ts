/** What calls of attention layers say besides their inputs. */
import { OptionError } from "../errors.ts";
import type { CallDocument } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { booleanOption, checkKeys, integerOption } from "../options.ts";

/** Options that calls of all attention layers have. */
export interface AttentionCallOptions {
  /** A query sees no key behind its own place, as the decoder of a language model needs it; default `false`. */
  useCausalMask?: boolean;
  /** The call gives a list of the output and the scores instead of the output; default `false`. */
  returnAttentionScores?: boolean;
}

/** The output of an attention and its scores: of each query the shares of the keys, after softmax and before dropout. */
export type AttentionOutputs = [output: SymbolicTensor, scores: SymbolicTensor];

/** Further inputs of a call by their names in the graph document, in its order. */
type Extras = readonly (readonly [name: string, tensor: unknown])[];

/** A call as the graph has it. */
export interface AttentionCall {
  readonly inputs: readonly unknown[];
  readonly call: CallDocument;
  readonly scores: boolean;
}

/**
 * Checks the options of a call.
 *
 * @param where - The layer, for messages.
 * @param query - What attends.
 * @param value - What is averaged.
 * @param options - As the caller gave them.
 * @param tensors - Names of the options that are tensors, in the order of the graph document.
 * @throws OptionError if one is unknown or of another type.
 */
export function attentionCall(
  where: string,
  query: unknown,
  value: unknown,
  options: unknown,
  tensors: readonly string[],
): AttentionCall {
  checkKeys(where, options, [...tensors, "useCausalMask", "returnAttentionScores"]);
  const given = options as Readonly<Record<string, unknown>>;
  const extras: Extras = tensors.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]);
  const flag = (name: string) => booleanOption(where, name, given[name] ?? false);
  const scores = flag("returnAttentionScores");
  return {
    inputs: [query, value, ...extras.map(([, tensor]) => tensor)],
    call: {
      inputs: ["query", "value", ...extras.map(([name]) => name)],
      useCausalMask: flag("useCausalMask"),
      returnAttentionScores: scores,
    },
    scores,
  };
}

/** The seed of a layer's own dropout as an option of its document, which has none otherwise. */
export function seedOption(type: string, value: number | null | undefined): { seed?: number } {
  return value == null ? {} : { seed: integerOption(type, "seed", value, 0) };
}

/** Throws if a call has more arguments than it takes. */
export function noMore(where: string, expected: string, more: readonly unknown[]): void {
  if (more.length > 0) throw new OptionError(`${where}: expected ${expected}, got ${more.length} more`);
}
