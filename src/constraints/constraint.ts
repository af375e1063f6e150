import { OptionError } from "../errors.ts";
import type { Json } from "../graph/document.ts";
import { checkKeys, numberOption } from "../options.ts";

/** What a weight is brought back to after each step. Made by the functions in `constraints`. */
export class Constraint {
  /** As docs/graph.md describes it. @internal */
  readonly document: { readonly [key: string]: Json };

  /** @internal */
  constructor(document: { readonly [key: string]: Json }) {
    this.document = Object.freeze(document);
  }
}

/** Options of constraints on norms. */
export interface AxisOptions {
  /**
   * Axis or axes over which a norm is taken, counted from 0 or from the end with -1; default 0, for a `kernel` of `dense` the
   * weights of one unit.
   */
  axis?: number | readonly number[];
}

/** Options of {@link maxNorm}. */
export interface MaxNormOptions extends AxisOptions {
  /** Largest norm, at least 0, default 2. */
  maxValue?: number;
}

/** Options of {@link minMaxNorm}. */
export interface MinMaxNormOptions extends AxisOptions {
  /** Smallest norm, at least 0, default 0. */
  minValue?: number;
  /** Largest norm, at least 0, default 1. */
  maxValue?: number;
  /** Part of the way into the bounds that a step goes, from 0 to 1; default 1. */
  rate?: number;
}

/** Constraints with their default options. */
export type ConstraintName = "maxNorm" | "nonNeg" | "unitNorm" | "minMaxNorm";

/** A constraint by name, or made by a function in `constraints`; `null`: none. */
export type ConstraintOption = ConstraintName | Constraint | null;

function axes(where: string, value: number | readonly number[] | undefined): Json {
  const axis: unknown = value ?? 0;
  const list: readonly unknown[] = Array.isArray(axis) ? axis : [axis];
  if (list.length === 0 || list.some((entry) => !Number.isSafeInteger(entry))) {
    throw new OptionError(`${where}: axis must be an integer or a list of integers`);
  }
  return Array.isArray(axis) ? [...(list as number[])] : (axis as number);
}

/**
 * Norms of at most `maxValue`.
 *
 * @param options - Norm and axis.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.constraints.MaxNorm`
 */
export function maxNorm(options: MaxNormOptions = {}): Constraint {
  checkKeys("maxNorm", options, ["maxValue", "axis"]);
  const maxValue = numberOption("maxNorm", "maxValue", options.maxValue ?? 2, 0);
  return new Constraint({ type: "maxNorm", maxValue, axis: axes("maxNorm", options.axis) });
}

/**
 * No negative numbers: they become 0.
 *
 * @see `keras.constraints.NonNeg`
 */
export function nonNeg(): Constraint {
  return new Constraint({ type: "nonNeg" });
}

/**
 * Norms of 1.
 *
 * @param options - The axis.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.constraints.UnitNorm`
 */
export function unitNorm(options: AxisOptions = {}): Constraint {
  checkKeys("unitNorm", options, ["axis"]);
  return new Constraint({ type: "unitNorm", axis: axes("unitNorm", options.axis) });
}

/**
 * Norms from `minValue` to `maxValue`.
 *
 * @param options - Norms, axis, and how far a step goes.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.constraints.MinMaxNorm`
 */
export function minMaxNorm(options: MinMaxNormOptions = {}): Constraint {
  const where = "minMaxNorm";
  checkKeys(where, options, ["minValue", "maxValue", "rate", "axis"]);
  return new Constraint({
    type: where,
    minValue: numberOption(where, "minValue", options.minValue ?? 0, 0),
    maxValue: numberOption(where, "maxValue", options.maxValue ?? 1, 0),
    rate: numberOption(where, "rate", options.rate ?? 1, 0, 1),
    axis: axes(where, options.axis),
  });
}
