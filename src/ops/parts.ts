/** Parts of tensors, tensors joined, elements picked and made. */
import { inspect } from "node:util";
import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { DataType } from "../native-interface.ts";
import { checkKeys, integerOption, nameOption } from "../options.ts";
import { checkAxis, checkTensor } from "./axes.ts";
import { greaterEqual } from "./binary.ts";
import { type Constant, constantOf } from "./operand.ts";
import { operation } from "./operation.ts";
import { extents, reshape, type Size, shape, UnknownSize } from "./shape.ts";

/** `[start, end, step]` of an axis: as in Python, with `null` for the default. */
export type Range = readonly [start?: number | null, end?: number | null, step?: number | null];

/** Options of {@link take}. */
export interface TakeOptions {
  /** The axis along which elements are picked; negative counts from the end. Default -1. */
  axis?: number;
}

/** Options of {@link convertToTensor}. */
export interface ConstantOptions {
  /** Default `"float32"`, or `"int32"` for an NdArray of integers. */
  dtype?: DataType;
}

function checkList(where: string, xs: unknown): SymbolicTensor[] {
  if (Array.isArray(xs) && xs.length > 0) return xs.map((x) => checkTensor(where, x));
  throw new OptionError(`${where}: expected a list of tensors, got ${inspect(xs, { depth: 0 })}`);
}

/**
 * Tensors one after the other along an axis.
 *
 * @param xs - Tensors of one type that differ along the axis only.
 * @param axis - The axis, the batch being 0; default -1.
 * @throws ShapeError if they differ elsewhere; OptionError if the axis is none.
 * @see `keras.ops.concatenate`
 */
export function concatenate(xs: readonly SymbolicTensor[], axis = -1): SymbolicTensor {
  const tensors = checkList("ops.concatenate", xs);
  return operation("concatenate", tensors, { axis: checkAxis("ops.concatenate", axis, tensors[0]!.shape.length) });
}

/**
 * Tensors of one shape along a new axis.
 *
 * @param xs - Tensors of one shape and type.
 * @param axis - Where the new axis stands; default the first.
 * @throws ShapeError if shapes differ; OptionError if the axis is none.
 * @see `keras.ops.stack`
 */
export function stack(xs: readonly SymbolicTensor[], axis = 0): SymbolicTensor {
  const tensors = checkList("ops.stack", xs);
  const position = checkAxis("ops.stack", axis, tensors[0]!.shape.length + 1);
  return concatenate(
    tensors.map((x) => expandDims(x, position)),
    position,
  );
}

/**
 * A new axis of size 1.
 *
 * @param x - Any tensor.
 * @param axis - Where it stands; negative counts from the end of the result.
 * @throws OptionError if the axis is none.
 * @see `keras.ops.expand_dims`
 */
export function expandDims(x: SymbolicTensor, axis: number): SymbolicTensor {
  const sizes = shape(checkTensor("ops.expandDims", x));
  sizes.splice(checkAxis("ops.expandDims", axis, sizes.length + 1), 0, 1);
  return reshape(x, sizes);
}

/**
 * Without axes of size 1.
 *
 * @param x - Any tensor.
 * @param axis - Which axis, or several; default all whose size is known to be 1.
 * @throws OptionError if an axis is none, or its size is not known to be 1.
 * @see `keras.ops.squeeze`
 */
export function squeeze(x: SymbolicTensor, axis?: number | readonly number[]): SymbolicTensor {
  const sizes = shape(checkTensor("ops.squeeze", x));
  const all = sizes.flatMap((size, index) => (size === 1 ? [index] : []));
  const axes = axis === undefined ? all : [axis].flat().map((one) => checkAxis("ops.squeeze", one, sizes.length));
  const wide = axes.find((index) => sizes[index] !== 1);
  if (wide !== undefined) {
    throw new OptionError(`ops.squeeze: axis ${wide} of ${inspect(x)} is not of size 1`);
  }
  return reshape(
    x,
    sizes.filter((_, index) => !axes.includes(index)),
  );
}

/**
 * Parts of axes, as in Python.
 *
 * @param x - Any tensor.
 * @param ranges - One `[start, end, step]` for each axis, the batch first, with `null` for an axis as a whole and for
 * defaults; axes that are left out are taken whole. Negative numbers count from the end; the step is at least 1. Of an axis
 * of unknown size a start or end that is not negative must lie within the axis.
 * @throws OptionError if a range is none.
 */
export function slice(x: SymbolicTensor, ranges: readonly (Range | null)[]): SymbolicTensor {
  const rank = checkTensor("ops.slice", x).shape.length;
  if (!Array.isArray(ranges) || ranges.length > rank) {
    throw new OptionError(`ops.slice: expected a list of at most ${rank} ranges, got ${inspect(ranges, { depth: 1 })}`);
  }
  let result = x;
  for (const [axis, range] of ranges.entries()) {
    if (range === null) continue;
    if (!Array.isArray(range) || range.length > 3) {
      throw new OptionError(`ops.slice: range ${axis} must be [start, end, step] or null, got ${inspect(range)}`);
    }
    const [start, end, step] = range as readonly unknown[];
    const lowest = Number.MIN_SAFE_INTEGER;
    const options = {
      axis,
      start: integerOption("ops.slice", "start", start ?? 0, lowest),
      end: end === undefined || end === null ? null : integerOption("ops.slice", "end", end, lowest),
      step: integerOption("ops.slice", "step", step ?? 1, 1),
    };
    if (options.start !== 0 || options.end !== null || options.step !== 1)
      result = operation("slice", [result], options);
  }
  return result;
}

/**
 * Parts of equal size along an axis.
 *
 * @param x - Any tensor.
 * @param sections - How many parts, or where each but the first begins.
 * @param axis - The axis, whose size must be known for a count; default -1.
 * @throws OptionError if the axis cannot be cut so.
 * @see `keras.ops.split`
 */
export function split(x: SymbolicTensor, sections: number | readonly number[], axis = -1): SymbolicTensor[] {
  const position = checkAxis("ops.split", axis, checkTensor("ops.split", x).shape.length);
  const size = x.shape[position];
  let starts: number[];
  if (typeof sections === "number") {
    const count = integerOption("ops.split", "sections", sections, 1);
    if (typeof size !== "number" || size % count !== 0) {
      throw new OptionError(`ops.split: axis ${position} of ${inspect(x)} cannot be cut into ${count} equal parts`);
    }
    starts = Array.from({ length: count }, (_, index) => (index * size) / count);
  } else {
    starts = [0, ...sections.map((start) => integerOption("ops.split", "sections", start, 0))];
  }
  return starts.map((start, index) => {
    const ranges: (Range | null)[] = Array.from({ length: position }, () => null);
    return slice(x, [...ranges, [start, starts[index + 1] ?? null]]);
  });
}

/**
 * Axes from the end.
 *
 * @param x - Any tensor.
 * @param axis - Which axis, or several; default all.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.flip`
 */
export function flip(x: SymbolicTensor, axis?: number | readonly number[]): SymbolicTensor {
  const rank = checkTensor("ops.flip", x).shape.length;
  const axes = [axis ?? x.shape.map((_, index) => index)].flat().map((one) => checkAxis("ops.flip", one, rank));
  return operation("flip", [x], { axes: [...new Set(axes)] });
}

/**
 * Repeated along axes of size 1 and new ones in front.
 *
 * @param x - Any tensor.
 * @param newShape - The sizes, the batch included; unknown ones come from `ops.shape`.
 * @throws ShapeError if `x` cannot be broadcast to the shape.
 * @see `keras.ops.broadcast_to`
 */
export function broadcastTo(x: SymbolicTensor, newShape: readonly Size[]): SymbolicTensor {
  const where = "ops.broadcastTo";
  const { inputs, shape: described } = extents(where, [checkTensor(where, x)], newShape, 0);
  return operation("broadcastTo", inputs, { shape: described });
}

/**
 * Each element of an axis several times in a row.
 *
 * @param x - Any tensor.
 * @param repeats - How often, at least 1.
 * @param axis - The axis.
 * @throws OptionError if the axis is none.
 * @see `keras.ops.repeat`
 */
export function repeat(x: SymbolicTensor, repeats: number, axis: number): SymbolicTensor {
  const sizes = shape(checkTensor("ops.repeat", x));
  const position = checkAxis("ops.repeat", axis, sizes.length);
  const count = integerOption("ops.repeat", "repeats", repeats, 1);
  const wide = broadcastTo(expandDims(x, position + 1), sizes.toSpliced(position + 1, 0, count));
  return merged(wide, position, sizes);
}

/** Two neighbouring axes as one. */
function merged(x: SymbolicTensor, axis: number, sizes: readonly Size[]): SymbolicTensor {
  return reshape(x, sizes.with(axis, -1));
}

/**
 * The tensor several times along each axis.
 *
 * @param x - Any tensor.
 * @param repeats - How often along each axis, at least 1; fewer than axes are for the last ones.
 * @throws OptionError if there are more numbers than axes.
 * @see `keras.ops.tile`
 */
export function tile(x: SymbolicTensor, repeats: readonly number[]): SymbolicTensor {
  const rank = checkTensor("ops.tile", x).shape.length;
  if (!Array.isArray(repeats) || repeats.length > rank) {
    throw new OptionError(`ops.tile: expected a list of at most ${rank} numbers, got ${inspect(repeats)}`);
  }
  let result = x;
  for (const [index, count] of repeats.entries()) {
    const axis = rank - repeats.length + index;
    if (integerOption("ops.tile", "repeats", count, 1) === 1) continue;
    const sizes = shape(result);
    result = merged(broadcastTo(expandDims(result, axis), sizes.toSpliced(axis, 0, count)), axis, sizes);
  }
  return result;
}

/**
 * The elements of an axis that ids name.
 *
 * @param x - Any tensor.
 * @param ids - int32, of any shape, which takes the place of the axis; negative counts from the end. An id beyond the axis is
 * a `DataError` when data come.
 * @param options - Which axis.
 * @throws ShapeError if the ids are not int32; OptionError if the axis is none.
 * @see `keras.ops.take`
 */
export function take(x: SymbolicTensor, ids: SymbolicTensor, options: TakeOptions = {}): SymbolicTensor {
  checkKeys("ops.take", options, ["axis"]);
  const axis = checkAxis("ops.take", options.axis ?? -1, checkTensor("ops.take", x).shape.length);
  return operation("take", [x, checkTensor("ops.take", ids)], { axis });
}

/**
 * A 1 at the place of each id; zeros for an id that is no class.
 *
 * @param ids - int32.
 * @param numClasses - Size of the new last axis.
 * @throws ShapeError if the ids are not int32.
 * @see `keras.ops.one_hot`
 */
export function oneHot(ids: SymbolicTensor, numClasses: number): SymbolicTensor {
  const classes = integerOption("ops.oneHot", "numClasses", numClasses, 1);
  return operation("oneHot", [checkTensor("ops.oneHot", ids)], { classes });
}

/**
 * Elements of another type; floats lose what is behind the point. No gradient flows through ids.
 *
 * @param x - Any tensor.
 * @param dtype - Which type.
 * @throws OptionError if it is no type.
 * @see `keras.ops.cast`
 */
export function cast(x: SymbolicTensor, dtype: DataType): SymbolicTensor {
  const type = nameOption("ops.cast", "dtype", dtype, ["float32", "int32"]);
  return checkTensor("ops.cast", x).dtype === type ? x : operation("cast", [x], { dtype: type });
}

/**
 * Numbers that are always the same.
 *
 * @param value - A number, nested lists, or an NdArray; no axis is a batch.
 * @param options - Type.
 * @throws OptionError if lists are ragged, or hold what is no finite number.
 * @see `keras.ops.convert_to_tensor`
 */
export function convertToTensor(value: Constant | object, options: ConstantOptions = {}): SymbolicTensor {
  checkKeys("ops.convertToTensor", options, ["dtype"]);
  const dtype =
    options.dtype === undefined
      ? undefined
      : nameOption("ops.convertToTensor", "dtype", options.dtype, ["float32", "int32"]);
  return constantOf("ops.convertToTensor", value, dtype);
}

/**
 * The numbers from 0 up, as int32.
 *
 * @param size - How many; a number, or a size of a tensor.
 * @throws OptionError if it is no size.
 * @see `keras.ops.arange`
 */
export function arange(size: Size): SymbolicTensor {
  if (size instanceof UnknownSize) return operation("arange", [size.tensor], { axis: size.axis });
  const count = integerOption("ops.arange", "size", size, 0);
  return constantOf(
    "ops.arange",
    Array.from({ length: count }, (_, index) => index),
    "int32",
  );
}

/**
 * A tensor of one number.
 *
 * @param newShape - The sizes; unknown ones come from `ops.shape`.
 * @param value - The number.
 * @throws OptionError if it is no shape.
 * @see `keras.ops.full`
 */
export function full(newShape: readonly Size[], value: number): SymbolicTensor {
  return broadcastTo(constantOf("ops.full", value), newShape);
}

/**
 * Which steps a step may see: `[1, time, time]`, 1 where the second step is not after the first, else 0.
 *
 * @param x - A sequence.
 * @param axis - Its time axis; default 1.
 * @throws OptionError if the axis is none.
 */
export function causalMask(x: SymbolicTensor, axis = 1): SymbolicTensor {
  const steps = shape(checkTensor("ops.causalMask", x))[checkAxis("ops.causalMask", axis, x.shape.length)]!;
  const numbers = arange(steps);
  return expandDims(greaterEqual(expandDims(numbers, 1), expandDims(numbers, 0)), 0);
}

/**
 * The mask of a tensor as floats: 1 where a position counts, else 0; ones if it has no mask.
 *
 * @param x - A tensor.
 * @returns The shape of `x` without its last axis.
 * @throws ShapeError if `x` has no axis.
 */
export function mask(x: SymbolicTensor): SymbolicTensor {
  return operation("mask", [checkTensor("ops.mask", x)]);
}

/**
 * A tensor with another mask.
 *
 * @param x - A tensor.
 * @param positions - The shape of `x` without its last axis: what is not 0 counts.
 * @throws ShapeError if the mask has another shape.
 */
export function withMask(x: SymbolicTensor, positions: SymbolicTensor): SymbolicTensor {
  return operation("setMask", [checkTensor("ops.withMask", x), checkTensor("ops.withMask", positions)]);
}

/**
 * 1 in training, 0 otherwise: a tensor without axes, for `ops.where`.
 */
export function training(): SymbolicTensor {
  return operation("training", []);
}
