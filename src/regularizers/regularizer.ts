import type { Json } from "../graph/document.ts";
import { checkKeys, nameOption, numberOption } from "../options.ts";

/** A penalty that the loss includes. Made by the functions in `regularizers`. */
export class Regularizer {
  /** As docs/graph.md describes it. @internal */
  readonly document: { readonly [key: string]: Json };

  /** @internal */
  constructor(document: { readonly [key: string]: Json }) {
    this.document = Object.freeze(document);
  }
}

/** Options of {@link l1}. */
export interface L1Options {
  /** Factor of the sum of absolute values, at least 0, default 0.01. */
  l1?: number;
}

/** Options of {@link l2}. */
export interface L2Options {
  /** Factor of the sum of squares, at least 0, default 0.01. */
  l2?: number;
}

/** Options of {@link l1L2}. */
export interface L1L2Options {
  /** Factor of the sum of absolute values, at least 0, default 0. */
  l1?: number;
  /** Factor of the sum of squares, at least 0, default 0. */
  l2?: number;
}

/** Options of {@link orthogonalRegularizer}. */
export interface OrthogonalRegularizerOptions {
  /** Factor of the penalty, at least 0, default 0.01. */
  factor?: number;
  /** Which vectors of the matrix are to be orthogonal; default `"rows"`. */
  mode?: "rows" | "columns";
}

/** Regularisers with their default options; those of `"l1L2"` are 0. */
export type RegularizerName = "l1" | "l2" | "l1L2" | "orthogonalRegularizer";

/** A regulariser by name, or made by a function in `regularizers`; `null`: none. */
export type RegularizerOption = RegularizerName | Regularizer | null;

/**
 * `l1` times the sum of absolute values.
 *
 * @param options - The factor.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.regularizers.L1`
 */
export function l1(options: L1Options = {}): Regularizer {
  checkKeys("l1", options, ["l1"]);
  return new Regularizer({ type: "l1l2", l1: numberOption("l1", "l1", options.l1 ?? 0.01, 0), l2: 0 });
}

/**
 * `l2` times the sum of squares.
 *
 * @param options - The factor.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.regularizers.L2`
 */
export function l2(options: L2Options = {}): Regularizer {
  checkKeys("l2", options, ["l2"]);
  return new Regularizer({ type: "l1l2", l1: 0, l2: numberOption("l2", "l2", options.l2 ?? 0.01, 0) });
}

/**
 * `l1` times the sum of absolute values and `l2` times the sum of squares.
 *
 * @param options - The factors.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.regularizers.L1L2`
 */
export function l1L2(options: L1L2Options = {}): Regularizer {
  checkKeys("l1L2", options, ["l1", "l2"]);
  const factor = (name: "l1" | "l2") => numberOption("l1L2", name, options[name] ?? 0, 0);
  return new Regularizer({ type: "l1l2", l1: factor("l1"), l2: factor("l2") });
}

/**
 * `factor` times the mean of the absolute products of all pairs of rows or columns, each brought to length 1. For weights of
 * two axes; a single vector has no penalty, where that of Keras is not a number.
 *
 * @param options - The factor, and which vectors.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.regularizers.OrthogonalRegularizer`
 */
export function orthogonalRegularizer(options: OrthogonalRegularizerOptions = {}): Regularizer {
  const where = "orthogonalRegularizer";
  checkKeys(where, options, ["factor", "mode"]);
  const factor = numberOption(where, "factor", options.factor ?? 0.01, 0);
  return new Regularizer({
    type: where,
    factor,
    mode: nameOption(where, "mode", options.mode ?? "rows", ["rows", "columns"]),
  });
}
