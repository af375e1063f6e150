import { DataError } from "../errors.ts";
import { nameOption } from "../options.ts";
import type { ArrayData } from "./example.ts";

/** Numbers in nested arrays of equal lengths, such as `[[1, 2], [3, 4]]`. */
export type NestedArray = readonly number[] | readonly NestedArray[];

/** Typed arrays that {@link ndarray} takes; only `Float32Array` and `Int32Array` are kept without a copy. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** Options of {@link ndarray}. */
export interface NdArrayOptions {
  /** Type of the elements; default that of a typed array (integers become `"int32"`), and `"float32"` for nested arrays. */
  dtype?: "float32" | "int32";
}

/** A typed array with its shape, the last axis fastest. */
export class NdArray<Data extends Float32Array | Int32Array = Float32Array | Int32Array> implements ArrayData {
  /** The values. */
  readonly data: Data;
  /** Sizes of the axes. */
  readonly shape: readonly number[];

  /**
   * @param data - Kept, not copied.
   * @param shape - Sizes of the axes, whose product is the length of `data`.
   * @throws DataError if the shape does not fit.
   */
  constructor(data: Data, shape: readonly number[]) {
    let size = 1;
    for (const dimension of shape) {
      if (!Number.isSafeInteger(dimension) || dimension < 0) {
        throw new DataError(`shape [${shape.join(", ")}]: ${String(dimension)} is not a size`);
      }
      size *= dimension;
    }
    if (data.length !== size) {
      throw new DataError(`shape [${shape.join(", ")}] needs ${size} values, got ${data.length}`);
    }
    this.data = data;
    this.shape = Object.freeze([...shape]);
  }

  /** Type of the elements. */
  get dtype(): "float32" | "int32" {
    return this.data instanceof Int32Array ? "int32" : "float32";
  }

  /** Count of elements. */
  get size(): number {
    return this.data.length;
  }

  /**
   * The values in nested arrays.
   *
   * @returns A number for a shape without axes, otherwise arrays nested once per axis.
   */
  toNested(): NestedArray | number {
    const level = (axis: number, start: number): NestedArray | number => {
      if (axis === this.shape.length) return this.data[start]!;
      const stride = this.shape.slice(axis + 1).reduce((product, size) => product * size, 1);
      return Array.from({ length: this.shape[axis]! }, (_, index) =>
        level(axis + 1, start + index * stride),
      ) as unknown as NestedArray;
    };
    return level(0, 0);
  }
}

/**
 * A typed array with a shape.
 *
 * @param data - Kept, not copied.
 * @param shape - Sizes of the axes; default one axis.
 * @throws DataError if the shape does not fit.
 */
export function ndarray(data: Float32Array, shape?: readonly number[]): NdArray<Float32Array>;
/**
 * A typed array with a shape.
 *
 * @param data - Kept, not copied.
 * @param shape - Sizes of the axes; default one axis.
 * @throws DataError if the shape does not fit.
 */
export function ndarray(data: Int32Array, shape?: readonly number[]): NdArray<Int32Array>;
/**
 * A typed array with a shape.
 *
 * @param data - A `Float32Array` or `Int32Array` (kept, not copied), another typed array, or nested arrays of numbers.
 * @param shape - Sizes of the axes; default one axis for a typed array, the nesting for arrays.
 * @param options - Type of the elements.
 * @throws DataError if the shape does not fit, nested arrays are ragged, or an element is no number or not an `int32`.
 */
export function ndarray(
  data: NumberArray | NestedArray,
  shape?: readonly number[],
  options?: NdArrayOptions,
): NdArray<Float32Array> | NdArray<Int32Array>;
export function ndarray(
  data: NumberArray | NestedArray,
  shape?: readonly number[],
  options: NdArrayOptions = {},
): NdArray<Float32Array> | NdArray<Int32Array> {
  const nested = Array.isArray(data);
  const [values, found] = nested
    ? flatten(data)
    : [data as NumberArray, [(data as NumberArray | undefined)?.length ?? 0]];
  if (!nested && !isNumberArray(values))
    throw new DataError("ndarray: expected a typed array or nested arrays of numbers");
  const dtype =
    options.dtype === undefined
      ? defaultType(values)
      : nameOption("ndarray", "dtype", options.dtype, ["float32", "int32"]);
  if (dtype === "float32") {
    return new NdArray(values instanceof Float32Array ? values : Float32Array.from(values), shape ?? found);
  }
  return new NdArray(values instanceof Int32Array ? values : integers(values), shape ?? found);
}

function isNumberArray(value: unknown): value is NumberArray {
  return (
    ArrayBuffer.isView(value) &&
    !(value instanceof DataView) &&
    !(value instanceof BigInt64Array) &&
    !(value instanceof BigUint64Array)
  );
}

function defaultType(values: ArrayLike<number>): "float32" | "int32" {
  return Array.isArray(values) || values instanceof Float32Array || values instanceof Float64Array
    ? "float32"
    : "int32";
}

function integers(values: ArrayLike<number>): Int32Array<ArrayBuffer> {
  const result = new Int32Array(values.length);
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value !== (value | 0)) throw new DataError(`element ${index} is ${value}, which is not a 32-bit integer`);
    result[index] = value;
  }
  return result;
}

/** All numbers of nested arrays, and the sizes of the axes. */
function flatten(data: NestedArray): [values: number[], shape: number[]] {
  const shape: number[] = [];
  for (let level: unknown = data; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
    if (shape.length > 32) throw new DataError("ndarray: arrays are nested more than 32 deep");
  }
  const values: number[] = [];
  const visit = (level: unknown, axis: number, path: readonly number[]): void => {
    const where = () => `element [${path.join(", ")}]`;
    if (axis === shape.length) {
      if (typeof level !== "number") throw new DataError(`${where()}: expected a number, got ${typeof level}`);
      values.push(level);
      return;
    }
    if (!Array.isArray(level))
      throw new DataError(`${where()}: expected ${shape[axis]} elements, got a ${typeof level}`);
    if (level.length !== shape[axis]) {
      throw new DataError(`${where()} has ${level.length} elements, others have ${shape[axis]}: pad them first`);
    }
    for (let index = 0; index < level.length; index++) visit(level[index], axis + 1, [...path, index]);
  };
  visit(data, 0, []);
  return [values, shape];
}
