import { DataError, ShapeError } from "../errors.ts";
import type { Batch, DataType, Dimension } from "../native-interface.ts";
import { checkIntegral, type RawArray, rawArray } from "./array-input.ts";
import type { TensorSpecification } from "./trainable.ts";

/** An array that fits an input, a target or a weight of rows, with the type in which the native step takes it. */
export interface Column {
  /** For messages. */
  readonly name: string;
  readonly data: RawArray["data"];
  /** Rows first. */
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

/** Sizes that the symbols of unknown dimensions have taken in a set of arrays, and where. */
export type Bound = Map<string, { size: number; where: string }>;

function shown(shape: readonly Dimension[]): string {
  return `[${shape.join(", ")}]`;
}

/** Throws if a shape does not fit a specification; `expected` is compared axis by axis, its first is the batch. */
function checkShape(name: string, shape: readonly number[], expected: readonly Dimension[], bound: Bound): void {
  const fail = (detail: string) => {
    throw new ShapeError(`${name}: expected shape ${shown(expected)}, got ${shown(shape)}${detail}`);
  };
  if (shape.length !== expected.length) fail("");
  for (const [axis, dimension] of expected.entries()) {
    const size = shape[axis]!;
    if (axis === 0) continue;
    if (typeof dimension === "number") {
      if (size !== dimension) fail("");
      continue;
    }
    const known = bound.get(dimension);
    if (known === undefined) bound.set(dimension, { size, where: name });
    else if (known.size !== size) fail(`: axis ${axis} is ${known.size} in ${known.where}`);
  }
}

/** An array as an input of a model. */
export async function inputColumn(
  where: string,
  input: TensorSpecification,
  value: unknown,
  bound: Bound,
): Promise<Column> {
  const name = `${where}input ${JSON.stringify(input.name)}`;
  const raw = await rawArray(name, value);
  checkShape(name, raw.shape, input.shape, bound);
  if (input.dtype === "int32") await checkIntegral(name, raw);
  return { name, data: raw.data, shape: raw.shape, dtype: input.dtype };
}

/**
 * An array as the target of an output: integers of one rank less, or with a last axis of 1, are ids; everything else has the
 * output's shape, where a last axis of 1 may be left out.
 */
export async function targetColumn(
  where: string,
  output: TensorSpecification,
  value: unknown,
  bound: Bound,
): Promise<Column> {
  const name = `${where}target of ${JSON.stringify(output.name)}`;
  const { data, shape, integral } = await rawArray(name, value);
  const rank = output.shape.length;
  const positions = output.shape.slice(0, -1);
  const single = shape.length === rank && shape.at(-1) === 1;
  if (integral === true && (shape.length === rank - 1 || single)) {
    const own = single ? shape.slice(0, -1) : shape;
    checkShape(name, own, positions, bound);
    await checkIntegral(name, { data, shape: own, integral });
    return { name, data, shape: own, dtype: "int32" };
  }
  // One number a position: Keras, too, adds the axis that is missing.
  if (shape.length === rank - 1 && output.shape.at(-1) === 1) {
    checkShape(name, shape, positions, bound);
    return { name, data, shape: [...shape, 1], dtype: "float32" };
  }
  if (shape.length === rank - 1) {
    throw new ShapeError(
      `${name}: expected ids ${shown(positions)} or probabilities ${shown(output.shape)}, got floats ${shown(shape)}: ids come in an Int32Array`,
    );
  }
  checkShape(name, shape, output.shape, bound);
  return { name, data, shape, dtype: "float32" };
}

/** An array as weights of the rows, or of the positions, of an output. */
export async function weightColumn(
  where: string,
  output: TensorSpecification,
  value: unknown,
  bound: Bound,
): Promise<Column> {
  const name = `${where}sample weights of ${JSON.stringify(output.name)}`;
  const { data, shape } = await rawArray(name, value);
  const expected = shape.length === 1 ? output.shape.slice(0, 1) : output.shape.slice(0, -1);
  checkShape(name, shape, expected, bound);
  return { name, data, shape, dtype: "float32" };
}

/** Some rows of a column, without a copy if they lie together and have the right type. */
export function rowsOf(column: Column, start: number, end: number, order: Uint32Array | undefined): Batch {
  const { data, shape, dtype } = column;
  const size = shape.slice(1).reduce((product, dimension) => product * dimension, 1);
  if (data.length !== size * shape[0]!) {
    throw new DataError(`${column.name}: its buffer was transferred away while it was read`);
  }
  const batchShape = [end - start, ...shape.slice(1)];
  const fits = dtype === "int32" ? data instanceof Int32Array : data instanceof Float32Array;
  if (order === undefined && fits) {
    return { data: data.subarray(start * size, end * size) as Float32Array | Int32Array, shape: batchShape };
  }
  const result = dtype === "int32" ? new Int32Array((end - start) * size) : new Float32Array((end - start) * size);
  if (order === undefined) {
    result.set(data.subarray(start * size, end * size));
  } else {
    for (let row = start; row < end; row++) {
      const from = order[row]! * size;
      result.set(data.subarray(from, from + size), (row - start) * size);
    }
  }
  return { data: result, shape: batchShape };
}
