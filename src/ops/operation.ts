import { OptionError } from "../errors.ts";
import type { LayerDocument, LayerOptionsDocument } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { checkName, Layer } from "../layers/layer.ts";

/** Types of layers that are primitive operations begin with this. */
export const operationPrefix = "ops.";

/** A call of a primitive operation: a layer without weights that is called once. @internal */
export class OperationLayer extends Layer {
  /** @internal */
  call(): SymbolicTensor {
    throw new OptionError(`layer ${this.name}: operations are called by the functions of ops`);
  }
}

/**
 * A node of an operation.
 *
 * @param name - As the engine knows it, without the prefix.
 * @param inputs - What it takes; others than tensors are refused.
 * @param options - All options, as docs/graph.md lists them.
 * @throws ShapeError naming the operation, what it expected and what it got.
 */
export function operation(
  name: string,
  inputs: readonly unknown[],
  options: LayerOptionsDocument = {},
): SymbolicTensor {
  return operationLayer(name, options).apply(inputs)[0]!;
}

/** The layer of an operation. */
export function operationLayer(name: string, options: LayerOptionsDocument): OperationLayer {
  return new OperationLayer({ type: operationPrefix + name, common: {}, options });
}

/** The layer of an operation of a document; the engine checks its options when it is called. */
export function restoreOperation({ name, type, trainable, options }: LayerDocument): OperationLayer {
  const common = { name: checkName("an operation", name), trainable };
  return new OperationLayer({ type, common, options });
}
