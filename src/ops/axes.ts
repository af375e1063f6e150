import { inspect } from "node:util";
import { OptionError } from "../errors.ts";
import { SymbolicTensor } from "../graph/tensor.ts";

/** @throws OptionError if `x` is no tensor. */
export function checkTensor(where: string, x: unknown): SymbolicTensor {
  if (x instanceof SymbolicTensor) return x;
  throw new OptionError(
    `${where}: expected a tensor from input() or from a layer, got ${Array.isArray(x) ? "an array" : inspect(x, { depth: 0 })}`,
  );
}

/** An axis of a tensor of `rank` axes, counted from the front; negative counts from the end. */
export function checkAxis(where: string, axis: unknown, rank: number): number {
  const counted = typeof axis === "number" && axis < 0 ? axis + rank : axis;
  if (typeof counted === "number" && Number.isInteger(counted) && counted >= 0 && counted < rank) return counted;
  throw new OptionError(
    `${where}: axis must be an integer from ${-rank} to ${rank - 1} for a tensor of ${rank} axes, got ${inspect(axis)}`,
  );
}
