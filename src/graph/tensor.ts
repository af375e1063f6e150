import { inspect } from "node:util";
import type { DataType, Dimension } from "../native-interface.ts";
import type { LayerNode } from "./node.ts";

/** What shape inference knows of a tensor. */
export interface Signature {
  readonly shape: readonly Dimension[];
  readonly dtype: DataType;
  readonly masked: boolean;
}

/**
 * A tensor that is not computed yet: an input of a model, or an output of a layer's call. Made by `input` and by calling
 * layers and models; it never holds numbers.
 */
export class SymbolicTensor {
  /** @internal */
  readonly node: LayerNode;
  /** @internal */
  readonly output: number;
  /** @internal */
  readonly signature: Signature;

  /** @internal */
  constructor(node: LayerNode, output: number, signature: Signature) {
    this.node = node;
    this.output = output;
    this.signature = signature;
  }

  /** Sizes of the axes, the batch first; `null` where the size is unknown. */
  get shape(): readonly (number | null)[] {
    return this.signature.shape.map((dimension) => (typeof dimension === "number" ? dimension : null));
  }

  /** Type of the elements. */
  get dtype(): DataType {
    return this.signature.dtype;
  }

  /** Whether a mask marks valid positions. */
  get masked(): boolean {
    return this.signature.masked;
  }

  /** Name of the layer that makes it. */
  get name(): string {
    return this.node.layer.name;
  }

  /** @internal */
  [inspect.custom](): string {
    return `SymbolicTensor(${this.name}, [${this.signature.shape.join(", ")}], ${this.dtype})`;
  }
}
