import { inspect } from "node:util";
import { OptionError } from "../errors.ts";
import { checkKeys, nameOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";

/** Options of {@link reshape}. */
export interface ReshapeOptions extends LayerOptions {
  /** Sizes of the axes after the batch; -1 at most once, for what the others leave. */
  targetShape: readonly number[];
}

/** Options of {@link flatten}. */
export interface FlattenOptions extends LayerOptions {
  /** Where the features stand; with `"channelsFirst"` they become the last axis first. Default `"channelsLast"`. */
  dataFormat?: "channelsLast" | "channelsFirst";
}

/** Options of {@link permute}. */
export interface PermuteOptions extends LayerOptions {
  /** Which axis of the input each axis after the batch becomes, counted from 1: `[2, 1]` exchanges two. */
  dims: readonly number[];
}

/** A list of integers of at least `minimum`. */
function integers(where: string, name: string, value: unknown, minimum: number): number[] {
  const fits = (entry: unknown) => typeof entry === "number" && Number.isSafeInteger(entry) && entry >= minimum;
  if (Array.isArray(value) && value.every(fits)) return [...value];
  throw new OptionError(
    `${where}: ${name} must be a list of integers of at least ${minimum}, got ${inspect(value, { depth: 1 })}`,
  );
}

/**
 * The axes after the batch in another shape, with the same elements in the same order. The mask is dropped.
 *
 * @param options - The new shape.
 * @returns A layer for any tensor. It throws `ShapeError` if the elements cannot take the shape; where sizes are unknown,
 * that is found when data come.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Reshape`
 */
export function reshape(options: ReshapeOptions): UnaryLayer {
  checkKeys("reshape", options, [...commonOptions, "targetShape"]);
  const targetShape = integers("reshape", "targetShape", options.targetShape, -1);
  if (targetShape.filter((size) => size === -1).length > 1) {
    throw new OptionError(`reshape: targetShape can hold -1 once, got [${targetShape.join(", ")}]`);
  }
  return new Unary({ type: "reshape", common: options, options: { targetShape } }) as unknown as UnaryLayer;
}

/**
 * All axes after the batch as one: `[batch, a, b]` becomes `[batch, a * b]`, `[batch]` becomes `[batch, 1]`. The mask is
 * dropped.
 *
 * @param options - Where the features stand.
 * @returns A layer for any tensor.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.Flatten`
 */
export function flatten(options: FlattenOptions = {}): UnaryLayer {
  checkKeys("flatten", options, [...commonOptions, "dataFormat"]);
  const known = ["channelsLast", "channelsFirst"] as const;
  const dataFormat = nameOption("flatten", "dataFormat", options.dataFormat ?? "channelsLast", known);
  return new Unary({ type: "flatten", common: options, options: { dataFormat } }) as unknown as UnaryLayer;
}

/**
 * The axes after the batch in another order. The mask is dropped.
 *
 * @param options - The order.
 * @returns A layer for a tensor of `dims.length + 1` axes. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown, or `dims` are not each axis once.
 * @see `keras.layers.Permute`
 */
export function permute(options: PermuteOptions): UnaryLayer {
  checkKeys("permute", options, [...commonOptions, "dims"]);
  const dims = integers("permute", "dims", options.dims, 1);
  if ([...dims].sort((a, b) => a - b).some((axis, index) => axis !== index + 1)) {
    throw new OptionError(`permute: dims must be each axis after the batch once, from 1, got [${dims.join(", ")}]`);
  }
  return new Unary({ type: "permute", common: options, options: { dims } }) as unknown as UnaryLayer;
}
