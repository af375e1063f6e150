import { nameOption } from "../options.ts";

/**
 * Activations that act on each element alone, by Keras' names in camelCase; `geluTanh` is the approximate GELU, `swish` and `hardSwish`
 * are other names of `silu` and `hardSilu`.
 */
export type ElementwiseActivationName =
  | "linear"
  | "relu"
  | "leakyRelu"
  | "relu6"
  | "elu"
  | "celu"
  | "selu"
  | "softplus"
  | "softsign"
  | "squareplus"
  | "softShrink"
  | "hardShrink"
  | "tanhShrink"
  | "sparsePlus"
  | "sparseSigmoid"
  | "silu"
  | "swish"
  | "hardSilu"
  | "hardSwish"
  | "gelu"
  | "geluTanh"
  | "mish"
  | "tanh"
  | "hardTanh"
  | "sigmoid"
  | "hardSigmoid"
  | "logSigmoid"
  | "exponential";

/** Activations by Keras' names in camelCase; `softmax` and `logSoftmax` act on the last axis. */
export type ActivationName = ElementwiseActivationName | "softmax" | "logSoftmax";

const elementwise: readonly ElementwiseActivationName[] = [
  "linear",
  "relu",
  "leakyRelu",
  "relu6",
  "elu",
  "celu",
  "selu",
  "softplus",
  "softsign",
  "squareplus",
  "softShrink",
  "hardShrink",
  "tanhShrink",
  "sparsePlus",
  "sparseSigmoid",
  "silu",
  "swish",
  "hardSilu",
  "hardSwish",
  "gelu",
  "geluTanh",
  "mish",
  "tanh",
  "hardTanh",
  "sigmoid",
  "hardSigmoid",
  "logSigmoid",
  "exponential",
];

/** All names of {@link ActivationName}. */
export const activationNames: readonly ActivationName[] = [...elementwise, "softmax", "logSoftmax"];

/** An activation of any kind. */
export function checkActivation(where: string, option: string, value: unknown): ActivationName {
  return nameOption(where, option, value, activationNames);
}

/** An activation of each element alone. */
export function checkElementwiseActivation(where: string, option: string, value: unknown): ElementwiseActivationName {
  return nameOption(where, option, value, elementwise);
}
