import type { Layer } from "../layers/layer.ts";
import type { CallDocument } from "./document.ts";
import { currentScope } from "./scope.ts";
import { type Signature, SymbolicTensor } from "./tensor.ts";

let serials = 0;

/** One call of a layer. */
export class LayerNode {
  /** Counts the calls of the process, so that inputs have lower numbers than their users. */
  readonly serial = ++serials;
  readonly layer: Layer;
  /** The call of a layer of several parts that it belongs to. */
  readonly scope = currentScope();
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  /** What the call says besides its inputs. */
  readonly call: CallDocument | undefined;

  constructor(
    layer: Layer,
    inputs: readonly SymbolicTensor[],
    outputs: readonly Signature[],
    call: CallDocument | undefined,
  ) {
    this.layer = layer;
    this.call = call;
    this.inputs = Object.freeze([...inputs]);
    this.outputs = Object.freeze(outputs.map((signature, index) => new SymbolicTensor(this, index, signature)));
  }
}
