import { inspect } from "node:util";
import { OptionError } from "../errors.ts";
import { buildGraph, documentOf } from "../graph/build-document.ts";
import type { GraphDocument } from "../graph/document.ts";
import { type Signature, SymbolicTensor } from "../graph/tensor.ts";
import { inputOf } from "../layers/input.ts";
import { mask } from "../ops/index.ts";
import { checkKeys, nameOption } from "../options.ts";

/**
 * A loss or metric of one's own: from the symbolic tensors of targets and output it makes that of the losses, one for each sample
 * (`[batch]`), position, or element. It is called once, when a model is compiled.
 *
 * @param yTrue - Targets: floats in the shape of the output, or ids.
 * @param yPred - The output.
 * @param mask - Floats, 1 for each position of the output that counts, 0 for others. Losses of others are left out in any case.
 */
export type LossFunction = (yTrue: SymbolicTensor, yPred: SymbolicTensor, mask: SymbolicTensor) => SymbolicTensor;

/** Options of `losses.custom` and `metrics.custom`. */
export interface CustomOptions {
  /** `"ids"` if targets are `int32` and have one axis less than the output; default `"elements"`: floats in its shape. */
  targets?: "elements" | "ids";
  /** What a metric is called in histories; default the name of the function. */
  name?: string;
}

/** A function with its options, made by `losses.custom` or `metrics.custom`. */
export class CustomLoss {
  /** @internal */
  readonly body: LossFunction;
  /** @internal */
  readonly targets: "elements" | "ids";
  /** What a metric is called in histories. */
  readonly name: string;

  /** @internal */
  constructor(where: string, body: unknown, options: CustomOptions) {
    checkKeys(where, options, ["targets", "name"]);
    if (typeof body !== "function") throw new OptionError(`${where}: expected a function, got ${inspect(body)}`);
    this.body = body as LossFunction;
    this.targets = nameOption(where, "targets", options.targets ?? "elements", ["elements", "ids"]);
    this.name = options.name ?? (body.name === "" ? "custom" : body.name);
    if (typeof this.name !== "string" || this.name.length === 0 || this.name.length > 256) {
      throw new OptionError(`${where}: name must be a string of 1 to 256 characters`);
    }
  }

  /**
   * The graph of the losses of an output.
   *
   * @throws OptionError if the function does not return a tensor; ShapeError if its layers do not take the shapes.
   * @internal
   */
  graph(where: string, { shape, dtype }: Signature): GraphDocument {
    const ids = this.targets === "ids";
    const yTrue = inputOf(ids ? shape.slice(0, -1) : shape, ids ? "int32" : "float32", "yTrue");
    const yPred = inputOf(shape, dtype, "yPred");
    const result: unknown = this.body(yTrue, yPred, mask(yPred));
    if (!(result instanceof SymbolicTensor)) {
      throw new OptionError(
        `${where}: ${this.name} must return a symbolic tensor, got ${inspect(result, { depth: 0 })}`,
      );
    }
    return documentOf(buildGraph([yTrue, yPred], [result]));
  }
}

/** What an option is if it is a function or was made of one. */
export function customOf(where: string, value: unknown): CustomLoss | undefined {
  if (value instanceof CustomLoss) return value;
  return typeof value === "function" ? new CustomLoss(where, value, {}) : undefined;
}
