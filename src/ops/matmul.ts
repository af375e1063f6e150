import { ShapeError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { checkTensor } from "./axes.ts";
import { operation } from "./operation.ts";
import { reshape, type Size, shape } from "./shape.ts";

/**
 * Products of matrices: the last two axes of each tensor; the axes before are broadcast. A tensor of one axis is a row on
 * the left or a column on the right, and that axis is left out of the result.
 *
 * @param a - `[..., rows, inner]`
 * @param b - `[..., inner, columns]`
 * @returns `[..., rows, columns]`, without a mask.
 * @throws ShapeError if they cannot be multiplied, or are no floats.
 * @see `keras.ops.matmul`
 */
export function matmul(a: SymbolicTensor, b: SymbolicTensor): SymbolicTensor {
  const sizes = [a, b].map((x) => shape(checkTensor("ops.matmul", x)));
  if (sizes.some(({ length }) => length === 0)) throw new ShapeError("ops.matmul: a tensor without axes is no matrix");
  const [left, right] = sizes as [Size[], Size[]];
  const vectors = [left.length === 1, right.length === 1];
  const row = vectors[0] ? reshape(a, [1, ...left]) : a;
  const column = vectors[1] ? reshape(b, [...right, 1]) : b;
  const product = operation("matmul", [row, column], { transposeA: false, transposeB: false });
  if (!vectors.includes(true)) return product;
  const made = shape(product);
  if (vectors[1]) made.splice(-1);
  if (vectors[0]) made.splice(vectors[1] ? -1 : -2, 1);
  return reshape(product, made);
}
