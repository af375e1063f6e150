/**
 * Functions of two elements. Shapes are broadcast: axes of size 1 take the other's size, missing axes in front are of size 1.
 * Numbers stand for constants. Ids and floats together are floats. Truths are floats: 1 and 0.
 */
import type { SymbolicTensor } from "../graph/tensor.ts";
import { asFloat, type Operand, operand } from "./operand.ts";
import { operation } from "./operation.ts";

function pair(name: string, a: Operand, b: Operand, floats: boolean): SymbolicTensor[] {
  const where = `ops.${name}`;
  const tensors = [operand(where, a, b), operand(where, b, a)];
  const mixed = tensors[0]!.dtype !== tensors[1]!.dtype;
  return floats || mixed ? tensors.map(asFloat) : tensors;
}

/**
 * `a + b`.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.add`
 */
export function add(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("add", a, b, false), { function: "add" });
}

/**
 * `a - b`.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.subtract`
 */
export function subtract(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("subtract", a, b, false), { function: "subtract" });
}

/**
 * `a b`.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.multiply`
 */
export function multiply(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("multiply", a, b, false), { function: "multiply" });
}

/**
 * `a / b`, as floats.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.divide`
 */
export function divide(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("divide", a, b, true), { function: "divide" });
}

/**
 * `a / b`, rounded down, without a gradient.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.floor_divide`
 */
export function floorDivide(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("floorDivide", a, b, false), { function: "floorDivide" });
}

/**
 * What `a / b`, rounded down, leaves; of the sign of `b`.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.mod`
 */
export function mod(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("mod", a, b, false), { function: "mod" });
}

/**
 * `a^b`, as floats.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.power`
 */
export function power(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("power", a, b, true), { function: "power" });
}

/**
 * The larger one. Of two equal ones each has half of the gradient.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.maximum`
 */
export function maximum(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("maximum", a, b, false), { function: "maximum" });
}

/**
 * The smaller one. Of two equal ones each has half of the gradient.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.minimum`
 */
export function minimum(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("minimum", a, b, false), { function: "minimum" });
}

/**
 * 1 where `a` and `b` are equal, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.equal`
 */
export function equal(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("equal", a, b, false), { function: "equal" });
}

/**
 * 1 where `a` and `b` differ, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.not_equal`
 */
export function notEqual(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("notEqual", a, b, false), { function: "notEqual" });
}

/**
 * 1 where `a < b`, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.less`
 */
export function less(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("less", a, b, false), { function: "less" });
}

/**
 * 1 where `a <= b`, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.less_equal`
 */
export function lessEqual(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("lessEqual", a, b, false), { function: "lessEqual" });
}

/**
 * 1 where `a > b`, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.greater`
 */
export function greater(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("greater", a, b, false), { function: "greater" });
}

/**
 * 1 where `a >= b`, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.greater_equal`
 */
export function greaterEqual(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("greaterEqual", a, b, false), { function: "greaterEqual" });
}

/**
 * 1 where neither is 0, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.logical_and`
 */
export function logicalAnd(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("logicalAnd", a, b, false), { function: "logicalAnd" });
}

/**
 * 1 where not both are 0, else 0.
 *
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.logical_or`
 */
export function logicalOr(a: Operand, b: Operand): SymbolicTensor {
  return operation("binary", pair("logicalOr", a, b, false), { function: "logicalOr" });
}

/**
 * The elements of `a` where the condition is not 0, else those of `b`.
 *
 * @param condition - A tensor or a number.
 * @param a - A tensor or a number.
 * @param b - A tensor or a number.
 * @throws ShapeError if the shapes cannot be broadcast together.
 * @see `keras.ops.where`
 */
export function where(condition: Operand, a: Operand, b: Operand): SymbolicTensor {
  return operation("where", [operand("ops.where", condition), ...pair("where", a, b, false)]);
}
