import { setImmediate as nextTurn } from "node:timers/promises";
import type { ArrayData } from "../data/example.ts";
import type { NumberArray } from "../data/ndarray.ts";
import { DataError } from "../errors.ts";

/** Numbers in nested arrays of equal lengths; the innermost may be typed arrays. */
export type NestedNumbers = readonly number[] | readonly NumberArray[] | readonly NestedNumbers[];

/** An array of numbers: with a shape, as `ndarray` makes it; a typed array with one axis; or nested arrays. */
export type ArrayInput = ArrayData | NumberArray | NestedNumbers;

/** An array before it is judged against a model. */
export interface RawArray {
  readonly data: NumberArray | Float64Array;
  readonly shape: readonly number[];
  /** Whether the elements are integers; `undefined`: they are floats whose values were not looked at. */
  readonly integral: boolean | undefined;
}

/** Elements that are worked on before the event loop gets its turn. */
const sliceLength = 65_536;

export function isNumberArray(value: unknown): value is NumberArray {
  return (
    ArrayBuffer.isView(value) &&
    !(value instanceof DataView) &&
    !(value instanceof BigInt64Array) &&
    !(value instanceof BigUint64Array)
  );
}

/** Whether a value is a typed array with a shape. */
export function isArrayData(value: unknown): value is ArrayData {
  return (
    typeof value === "object" &&
    value !== null &&
    "data" in value &&
    "shape" in value &&
    isNumberArray(value.data) &&
    Array.isArray(value.shape)
  );
}

/** The elements and the shape of what a user gave; `name` is for messages. */
export async function rawArray(name: string, value: unknown): Promise<RawArray> {
  if (isArrayData(value)) return typed(name, value.data, value.shape);
  if (isNumberArray(value)) return typed(name, value, [value.length]);
  if (Array.isArray(value)) return flatten(name, value);
  throw new DataError(`${name}: expected an array of numbers, got ${described(value)}`);
}

function typed(name: string, data: NumberArray, shape: readonly number[]): RawArray {
  let size = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new DataError(`${name}: shape [${shape.join(", ")}] holds ${String(dimension)}, which is not a size`);
    }
    size *= dimension;
  }
  if (data.length !== size) {
    const detached = data.buffer.byteLength === 0 && size > 0 ? " (its buffer was transferred away)" : "";
    throw new DataError(`${name}: shape [${shape.join(", ")}] needs ${size} values, got ${data.length}${detached}`);
  }
  const floats = data instanceof Float32Array || data instanceof Float64Array;
  return { data, shape, integral: floats ? undefined : true };
}

async function flatten(name: string, nested: readonly unknown[]): Promise<RawArray> {
  if (nested.length === 0) throw new DataError(`${name} has no rows`);
  const shape: number[] = [];
  for (let level: unknown = nested; Array.isArray(level) || isNumberArray(level); level = level[0]) {
    shape.push(level.length);
    if (shape.length > 32) throw new DataError(`${name}: arrays are nested more than 32 deep`);
  }
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  if (size > 2 ** 32) throw new DataError(`${name}: shape [${shape.join(", ")}] is too large for nested arrays`);
  const data = new Float64Array(size);
  const rowSize = size / Math.max(1, shape[0]!);
  let integral = true;
  const fill = (level: unknown, axis: number, start: number, row: number): void => {
    if (axis === shape.length) {
      if (typeof level !== "number") {
        throw new DataError(`${name}: row ${row} is ragged or holds ${described(level)} where a number was expected`);
      }
      integral &&= Number.isInteger(level);
      data[start] = level;
      return;
    }
    if (!(Array.isArray(level) || isNumberArray(level)) || level.length !== shape[axis]) {
      const got = Array.isArray(level) || isNumberArray(level) ? `has ${level.length} elements` : "is a number";
      throw new DataError(`${name}: row ${row} ${got} where row 0 has ${shape[axis]}: pad the rows first`);
    }
    const stride = shape.slice(axis + 1).reduce((product, dimension) => product * dimension, 1);
    for (let index = 0; index < level.length; index++) fill(level[index], axis + 1, start + index * stride, row);
  };
  let sinceTurn = 0;
  for (const [row, level] of nested.entries()) {
    fill(level, 1, row * rowSize, row);
    sinceTurn += rowSize;
    if (sinceTurn >= sliceLength) {
      await nextTurn();
      sinceTurn = 0;
    }
  }
  return { data, shape, integral };
}

/** Throws if a float is not a 32-bit integer, naming row and column. */
export async function checkIntegral(name: string, array: RawArray): Promise<void> {
  const { data, shape } = array;
  if (data instanceof Int32Array) return;
  const rowSize = data.length / Math.max(1, shape[0] ?? 1);
  for (let start = 0; start < data.length; start += sliceLength) {
    const end = Math.min(data.length, start + sliceLength);
    for (let index = start; index < end; index++) {
      const value = data[index]!;
      if (value === (value | 0)) continue;
      const row = Math.floor(index / rowSize);
      throw new DataError(`${name}: row ${row}, column ${index % rowSize} holds ${value}, expected a 32-bit integer`);
    }
    if (end < data.length) await nextTurn();
  }
}

function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
