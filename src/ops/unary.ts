/** Functions of each element. What takes floats takes ids too, as floats. */
import type { SymbolicTensor } from "../graph/tensor.ts";
import { numberOption } from "../options.ts";
import { checkTensor } from "./axes.ts";
import { asFloat } from "./operand.ts";
import { operation } from "./operation.ts";

function unary(name: string, x: SymbolicTensor, floats: boolean): SymbolicTensor {
  const tensor = checkTensor(`ops.${name}`, x);
  return operation("unary", [floats ? asFloat(tensor) : tensor], { function: name });
}

function activation(where: string, name: string, x: SymbolicTensor): SymbolicTensor {
  return operation("activate", [asFloat(checkTensor(`ops.${where}`, x))], { activation: name });
}

/**
 * `-x`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.negative`
 */
export function negative(x: SymbolicTensor): SymbolicTensor {
  return unary("negative", x, false);
}

/**
 * `|x|`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.abs`
 */
export function abs(x: SymbolicTensor): SymbolicTensor {
  return unary("abs", x, false);
}

/**
 * `e^x`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.exp`
 */
export function exp(x: SymbolicTensor): SymbolicTensor {
  return unary("exp", x, true);
}

/**
 * `e^x - 1`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.expm1`
 */
export function expm1(x: SymbolicTensor): SymbolicTensor {
  return unary("expm1", x, true);
}

/**
 * The natural logarithm.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.log`
 */
export function log(x: SymbolicTensor): SymbolicTensor {
  return unary("log", x, true);
}

/**
 * `log(1 + x)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.log1p`
 */
export function log1p(x: SymbolicTensor): SymbolicTensor {
  return unary("log1p", x, true);
}

/**
 * The square root.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.sqrt`
 */
export function sqrt(x: SymbolicTensor): SymbolicTensor {
  return unary("sqrt", x, true);
}

/**
 * `1 / sqrt(x)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.rsqrt`
 */
export function rsqrt(x: SymbolicTensor): SymbolicTensor {
  return unary("rsqrt", x, true);
}

/**
 * `x^2`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.square`
 */
export function square(x: SymbolicTensor): SymbolicTensor {
  return unary("square", x, false);
}

/**
 * `1 / x`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.reciprocal`
 */
export function reciprocal(x: SymbolicTensor): SymbolicTensor {
  return unary("reciprocal", x, true);
}

/**
 * -1, 0 or 1, without a gradient.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.sign`
 */
export function sign(x: SymbolicTensor): SymbolicTensor {
  return unary("sign", x, false);
}

/**
 * The sine.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.sin`
 */
export function sin(x: SymbolicTensor): SymbolicTensor {
  return unary("sin", x, true);
}

/**
 * The cosine.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.cos`
 */
export function cos(x: SymbolicTensor): SymbolicTensor {
  return unary("cos", x, true);
}

/**
 * The next whole number below, without a gradient.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.floor`
 */
export function floor(x: SymbolicTensor): SymbolicTensor {
  return unary("floor", x, true);
}

/**
 * The next whole number above, without a gradient.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.ceil`
 */
export function ceil(x: SymbolicTensor): SymbolicTensor {
  return unary("ceil", x, true);
}

/**
 * The nearest whole number, of two the even one, without a gradient.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.round`
 */
export function round(x: SymbolicTensor): SymbolicTensor {
  return unary("round", x, true);
}

/**
 * 1 where `x` is 0, else 0.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.logical_not`
 */
export function logicalNot(x: SymbolicTensor): SymbolicTensor {
  return unary("logicalNot", x, false);
}

/**
 * The hyperbolic tangent.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.tanh`
 */
export function tanh(x: SymbolicTensor): SymbolicTensor {
  return activation("tanh", "tanh", x);
}

/**
 * `1 / (1 + e^-x)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.sigmoid`
 */
export function sigmoid(x: SymbolicTensor): SymbolicTensor {
  return activation("sigmoid", "sigmoid", x);
}

/**
 * `max(x, 0)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.relu`
 */
export function relu(x: SymbolicTensor): SymbolicTensor {
  return activation("relu", "relu", x);
}

/**
 * `log(1 + e^x)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.softplus`
 */
export function softplus(x: SymbolicTensor): SymbolicTensor {
  return activation("softplus", "softplus", x);
}

/**
 * `x sigmoid(x)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.silu`
 */
export function silu(x: SymbolicTensor): SymbolicTensor {
  return activation("silu", "silu", x);
}

/**
 * `min(max(x / 6 + 0.5, 0), 1)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.hard_sigmoid`
 */
export function hardSigmoid(x: SymbolicTensor): SymbolicTensor {
  return activation("hardSigmoid", "hardSigmoid", x);
}

/**
 * `log(sigmoid(x))`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.log_sigmoid`
 */
export function logSigmoid(x: SymbolicTensor): SymbolicTensor {
  return activation("logSigmoid", "logSigmoid", x);
}

/**
 * `x`, below 0 `e^x - 1`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.elu`
 */
export function elu(x: SymbolicTensor): SymbolicTensor {
  return activation("elu", "elu", x);
}

/**
 * `x`, below 0 `0.2 x`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.leaky_relu`
 */
export function leakyRelu(x: SymbolicTensor): SymbolicTensor {
  return activation("leakyRelu", "leakyRelu", x);
}

/**
 * `x / (1 + |x|)`.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.softsign`
 */
export function softsign(x: SymbolicTensor): SymbolicTensor {
  return activation("softsign", "softsign", x);
}

/**
 * `x` times the probability of a standard normal number below `x`.
 *
 * @param x - Any tensor.
 * @param approximate - Whether the approximation by `tanh` is taken; default `true`.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.gelu`
 */
export function gelu(x: SymbolicTensor, approximate = true): SymbolicTensor {
  return activation("gelu", approximate ? "geluTanh" : "gelu", x);
}

/**
 * Elements within limits. The gradient is that of the elements that are not beyond them.
 *
 * @param x - Any tensor.
 * @param minimum - The smallest.
 * @param maximum - The largest.
 * @throws OptionError if a limit is no finite number.
 * @see `keras.ops.clip`
 */
export function clip(x: SymbolicTensor, minimum: number, maximum: number): SymbolicTensor {
  const limits = {
    minimum: numberOption("ops.clip", "minimum", minimum),
    maximum: numberOption("ops.clip", "maximum", maximum),
  };
  return operation("clip", [asFloat(checkTensor("ops.clip", x))], limits);
}

/**
 * `x`, through which no gradient flows.
 *
 * @param x - Any tensor.
 * @throws OptionError if `x` is no tensor.
 * @see `keras.ops.stop_gradient`
 */
export function stopGradient(x: SymbolicTensor): SymbolicTensor {
  return unary("stopGradient", x, false);
}
