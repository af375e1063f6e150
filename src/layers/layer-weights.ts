import type { GraphDocument, LayerDocument, ValueReference } from "../graph/document.ts";
import type { Signature } from "../graph/tensor.ts";
import { LayerHandle as Handle, type LayerHandle, ModelHandle } from "../native.ts";

/** A model of one layer alone, through which its weights are read and set. */
export function modelOfLayer(layer: LayerDocument, handle: LayerHandle, inputs: readonly Signature[]): ModelHandle {
  const inputLayers = inputs.map(({ shape, dtype }, index) => ({
    name: `${layer.name}Input${index}`,
    type: "input",
    trainable: true,
    options: { shape, dtype },
  }));
  const references = inputs.map((_, index): ValueReference => [index, 0]);
  const document: GraphDocument = {
    format: "sconce-graph",
    version: 1,
    layers: [...inputLayers, layer],
    nodes: [...inputs.map((_, index) => ({ layer: index, inputs: [] })), { layer: inputs.length, inputs: references }],
    inputs: references,
    outputs: [[inputs.length, 0]],
  };
  const handles = [...inputLayers.map(({ name }) => new Handle(name, "[]")), handle];
  return new ModelHandle(JSON.stringify(document), handles, "cpu");
}
