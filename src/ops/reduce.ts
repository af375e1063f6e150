/** Elements along axes as one. */
import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { booleanOption, checkKeys } from "../options.ts";
import { checkAxis, checkTensor } from "./axes.ts";
import { add, subtract } from "./binary.ts";
import { asFloat } from "./operand.ts";
import { operation } from "./operation.ts";
import { reshape, shape } from "./shape.ts";
import { exp, log, square, stopGradient } from "./unary.ts";

/** Options of reductions. */
export interface ReduceOptions {
  /** An axis, or several, the batch being 0; negative counts from the end. Default all. */
  axis?: number | readonly number[];
  /** Whether the axes stay, with size 1. Default `false`. */
  keepdims?: boolean;
}

/** Options of {@link argmax} and {@link argmin}. */
export interface ArgmaxOptions {
  /** The axis; negative counts from the end. Default -1. */
  axis?: number;
  /** Whether the axis stays, with size 1. Default `false`. */
  keepdims?: boolean;
}

function resolve(name: string, x: SymbolicTensor, options: ReduceOptions): { axes: number[]; keepdims: boolean } {
  checkKeys(`ops.${name}`, options, ["axis", "keepdims"]);
  const rank = checkTensor(`ops.${name}`, x).shape.length;
  const given: readonly unknown[] = options.axis === undefined ? x.shape.map((_, axis) => axis) : [options.axis].flat();
  const axes = given.map((axis) => checkAxis(`ops.${name}`, axis, rank));
  if (new Set(axes).size !== axes.length) throw new OptionError(`ops.${name}: an axis is twice among the axes`);
  return { axes, keepdims: booleanOption(`ops.${name}`, "keepdims", options.keepdims ?? false) };
}

function reduce(name: string, x: SymbolicTensor, options: ReduceOptions): SymbolicTensor {
  const { axes, keepdims } = resolve(name, x, options);
  return operation("reduce", [asFloat(x)], { function: name, axes, keepdims });
}

/**
 * The sum.
 *
 * @param x - Any tensor.
 * @param options - Along which axes.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.sum`
 */
export function sum(x: SymbolicTensor, options: ReduceOptions = {}): SymbolicTensor {
  return reduce("sum", x, options);
}

/**
 * The mean.
 *
 * @param x - Any tensor.
 * @param options - Along which axes.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.mean`
 */
export function mean(x: SymbolicTensor, options: ReduceOptions = {}): SymbolicTensor {
  return reduce("mean", x, options);
}

/**
 * The product.
 *
 * @param x - Any tensor.
 * @param options - Along which axes.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.prod`
 */
export function prod(x: SymbolicTensor, options: ReduceOptions = {}): SymbolicTensor {
  return reduce("prod", x, options);
}

/**
 * The largest. Equal ones share the gradient.
 *
 * @param x - Any tensor.
 * @param options - Along which axes.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.max`
 */
export function max(x: SymbolicTensor, options: ReduceOptions = {}): SymbolicTensor {
  return reduce("max", x, options);
}

/**
 * The smallest. Equal ones share the gradient.
 *
 * @param x - Any tensor.
 * @param options - Along which axes.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.min`
 */
export function min(x: SymbolicTensor, options: ReduceOptions = {}): SymbolicTensor {
  return reduce("min", x, options);
}

/**
 * The mean of squared distances from the mean.
 *
 * @param x - Any tensor.
 * @param options - Along which axes.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.var`
 */
export function variance(x: SymbolicTensor, options: ReduceOptions = {}): SymbolicTensor {
  const { axes } = resolve("variance", x, options);
  return mean(square(subtract(x, mean(x, { axis: axes, keepdims: true }))), options);
}

/**
 * The logarithm of the sum of exponentials, without overflow.
 *
 * @param x - Any tensor.
 * @param options - Along which axes.
 * @throws OptionError if an axis is none.
 * @see `keras.ops.logsumexp`
 */
export function logsumexp(x: SymbolicTensor, options: ReduceOptions = {}): SymbolicTensor {
  const { axes, keepdims } = resolve("logsumexp", x, options);
  const largest = stopGradient(max(x, { axis: axes, keepdims: true }));
  const result = add(log(sum(exp(subtract(x, largest)), { axis: axes, keepdims: true })), largest);
  if (keepdims) return result;
  return reshape(
    result,
    shape(result).filter((_, axis) => !axes.includes(axis)),
  );
}

function place(name: string, x: SymbolicTensor, options: ArgmaxOptions): SymbolicTensor {
  checkKeys(`ops.${name}`, options, ["axis", "keepdims"]);
  const axis = checkAxis(`ops.${name}`, options.axis ?? -1, checkTensor(`ops.${name}`, x).shape.length);
  const keepdims = booleanOption(`ops.${name}`, "keepdims", options.keepdims ?? false);
  return operation("place", [asFloat(x)], { axis, largest: name === "argmax", keepdims });
}

/**
 * The number of the first largest element along an axis, as int32.
 *
 * @param x - Any tensor.
 * @param options - Along which axis.
 * @throws OptionError if the axis is none.
 * @see `keras.ops.argmax`
 */
export function argmax(x: SymbolicTensor, options: ArgmaxOptions = {}): SymbolicTensor {
  return place("argmax", x, options);
}

/**
 * The number of the first smallest element along an axis, as int32.
 *
 * @param x - Any tensor.
 * @param options - Along which axis.
 * @throws OptionError if the axis is none.
 * @see `keras.ops.argmin`
 */
export function argmin(x: SymbolicTensor, options: ArgmaxOptions = {}): SymbolicTensor {
  return place("argmin", x, options);
}

/**
 * Exponentials as shares of their sum.
 *
 * @param x - A tensor.
 * @param axis - Along which axis; default the last.
 * @throws OptionError if the axis is none.
 * @see `keras.ops.softmax`
 */
export function softmax(x: SymbolicTensor, axis = -1): SymbolicTensor {
  const position = checkAxis("ops.softmax", axis, checkTensor("ops.softmax", x).shape.length);
  return operation("softmax", [asFloat(x)], { axis: position });
}

/**
 * The logarithms of {@link softmax}.
 *
 * @param x - A tensor.
 * @param axis - Along which axis; default the last.
 * @throws OptionError if the axis is none.
 * @see `keras.ops.log_softmax`
 */
export function logSoftmax(x: SymbolicTensor, axis = -1): SymbolicTensor {
  const position = checkAxis("ops.logSoftmax", axis, checkTensor("ops.logSoftmax", x).shape.length);
  return subtract(x, logsumexp(x, { axis: position, keepdims: true }));
}
