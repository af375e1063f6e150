import { inspect } from "node:util";
import { OptionError } from "../errors.ts";
import type { Json } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { checkAxis, checkTensor } from "./axes.ts";
import { operation } from "./operation.ts";

/** A size that is not known before data come: that of an axis of a tensor. */
export class UnknownSize {
  /** @internal */
  readonly tensor: SymbolicTensor;
  /** @internal */
  readonly axis: number;

  /** @internal */
  constructor(tensor: SymbolicTensor, axis: number) {
    this.tensor = tensor;
    this.axis = axis;
  }

  /** @internal */
  [inspect.custom](): string {
    return `UnknownSize(axis ${this.axis} of ${this.tensor.name})`;
  }
}

/** A size of a shape: a number, or one of another tensor. */
export type Size = number | UnknownSize;

/**
 * The sizes of a tensor, the batch first.
 *
 * @param x - A tensor.
 * @returns Numbers, and an {@link UnknownSize} where a size follows from the data; both can be parts of new shapes.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.shape`
 */
export function shape(x: SymbolicTensor): Size[] {
  return checkTensor("ops.shape", x).shape.map((size, axis) => size ?? new UnknownSize(x, axis));
}

/** Sizes as the engine has them, and the tensors that lend unknown ones, `x` first. */
export function extents(
  where: string,
  x: readonly SymbolicTensor[],
  sizes: unknown,
  smallest: number,
): { inputs: SymbolicTensor[]; shape: Json[] } {
  if (!Array.isArray(sizes))
    throw new OptionError(`${where}: the shape must be a list of sizes, got ${inspect(sizes)}`);
  const inputs = [...x];
  const described = sizes.map((size: unknown): Json => {
    if (size instanceof UnknownSize) {
      if (!inputs.includes(size.tensor)) inputs.push(size.tensor);
      return [inputs.indexOf(size.tensor), size.axis];
    }
    if (typeof size === "number" && Number.isSafeInteger(size) && size >= smallest) return size;
    throw new OptionError(
      `${where}: the shape must hold integers of at least ${smallest} or sizes from ops.shape, got ${inspect(size)}`,
    );
  });
  return { inputs, shape: described };
}

/**
 * The same elements in another shape.
 *
 * @param x - Any tensor.
 * @param newShape - The sizes, the batch included; -1 at most once, for what the others leave. Unknown sizes come from
 * {@link shape}.
 * @returns A tensor without a mask.
 * @throws ShapeError if the elements cannot take the shape; OptionError if it is no shape.
 * @see `keras.ops.reshape`
 */
export function reshape(x: SymbolicTensor, newShape: readonly Size[]): SymbolicTensor {
  const { inputs, shape: described } = extents("ops.reshape", [checkTensor("ops.reshape", x)], newShape, -1);
  return operation("reshape", inputs, { shape: described });
}

/**
 * The axes in another order.
 *
 * @param x - Any tensor.
 * @param axes - Which axis of `x` each axis becomes, the batch included; default all reversed.
 * @returns A tensor without a mask.
 * @throws OptionError if `axes` are not each axis once.
 * @see `keras.ops.transpose`
 */
export function transpose(x: SymbolicTensor, axes?: readonly number[]): SymbolicTensor {
  const rank = checkTensor("ops.transpose", x).shape.length;
  if (axes !== undefined && !Array.isArray(axes)) throw new OptionError("ops.transpose: axes must be a list of axes");
  const order =
    axes?.map((axis) => checkAxis("ops.transpose", axis, rank)) ?? x.shape.map((_, axis) => rank - 1 - axis);
  if (new Set(order).size !== rank || order.length !== rank) {
    throw new OptionError(`ops.transpose: axes must be each of ${rank} axes once, got [${String(axes)}]`);
  }
  return operation("transpose", [x], { axes: order });
}
