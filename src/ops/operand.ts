import { inspect } from "node:util";
import { NdArray } from "../data/ndarray.ts";
import { OptionError } from "../errors.ts";
import { SymbolicTensor } from "../graph/tensor.ts";
import type { DataType } from "../native-interface.ts";
import { operation } from "./operation.ts";

/** What operations on elements take: a tensor, or a number for each element. Truths count as 1 and 0. */
export type Operand = SymbolicTensor | number | boolean;

/** Numbers that are always the same, as nested lists. */
export type Constant = number | boolean | readonly Constant[];

/** Numbers that a document may hold at most in one constant. */
const maximumCount = 1 << 20;

/** Sizes of nested lists, and their numbers row by row. */
function flatten(where: string, value: unknown, values: number[]): number[] {
  if (typeof value === "number" || typeof value === "boolean") {
    if (values.length >= maximumCount)
      throw new OptionError(`${where}: a constant has at most ${maximumCount} numbers`);
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new OptionError(`${where}: constants must be finite numbers, got ${value}`);
    }
    values.push(Number(value));
    return [];
  }
  if (!Array.isArray(value)) {
    throw new OptionError(
      `${where}: expected a tensor, a number or lists of numbers, got ${inspect(value, { depth: 0 })}`,
    );
  }
  const sizes = value.map((part: unknown) => flatten(where, part, values));
  const [first = []] = sizes;
  if (sizes.some((size) => size.join() !== first.join()))
    throw new OptionError(`${where}: the lists of a constant are ragged`);
  return [value.length, ...first];
}

/** A node of a constant. */
export function constantOf(where: string, value: unknown, dtype?: DataType): SymbolicTensor {
  let values: number[] = [];
  let shape: number[];
  if (value instanceof NdArray) {
    shape = [...value.shape];
    values = Array.from(value.data, Number);
  } else {
    shape = flatten(where, value, values);
  }
  const whole = values.every((entry) => Number.isInteger(entry) && Math.abs(entry) < 2 ** 31);
  const type = dtype ?? (value instanceof NdArray && value.data instanceof Int32Array ? "int32" : "float32");
  if (type === "int32" && !whole) throw new OptionError(`${where}: a constant of int32 must hold 32-bit integers`);
  return operation("constant", [], { shape, values, dtype: type });
}

/** A tensor as it is; a number as a constant of the type of the other operand, if it can have that. */
export function operand(where: string, value: unknown, other?: unknown): SymbolicTensor {
  if (value instanceof SymbolicTensor) return value;
  const whole = typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 2 ** 31;
  const like = other instanceof SymbolicTensor ? other.dtype : "float32";
  return constantOf(where, value, like === "int32" && whole ? "int32" : "float32");
}

/** A tensor as floats. */
export function asFloat(x: SymbolicTensor): SymbolicTensor {
  return x.dtype === "float32" ? x : operation("cast", [x], { dtype: "float32" });
}
