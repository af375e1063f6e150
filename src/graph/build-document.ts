import { GraphError } from "../errors.ts";
import type { InputLayer } from "../layers/input.ts";
import type { Layer } from "../layers/layer.ts";
import type { Dimension } from "../native-interface.ts";
import { collectGraph } from "./collect.ts";
import type { GraphDocument, LayerDocument, NodeDocument, ValueReference } from "./document.ts";
import type { LayerNode } from "./node.ts";
import type { SymbolicTensor } from "./tensor.ts";

/** The graph of a model, and what its parts are called. */
export interface ModelGraph {
  /** Calls, inputs before their users. */
  readonly nodes: readonly LayerNode[];
  /** Layers in Keras' order. */
  readonly layers: readonly Layer[];
  /** The name of each layer within the model. */
  readonly names: ReadonlyMap<Layer, string>;
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
}

/**
 * Collects the graph between inputs and outputs and gives names to its layers.
 *
 * @throws GraphError if an input is missing or given twice, or two layers have one name.
 */
export function buildGraph(inputs: readonly SymbolicTensor[], outputs: readonly SymbolicTensor[]): ModelGraph {
  const twice = inputs.find((tensor, index) => inputs.indexOf(tensor) !== index);
  if (twice !== undefined) throw new GraphError(`${twice.name} is twice among the inputs of the model`);
  const { nodes, layers } = collectGraph(inputs, outputs);
  return { nodes, layers, names: nameLayers(layers), inputs, outputs };
}

/** Names that are fixed first, then numbers for the rest, in the order in which the layers were made. */
function nameLayers(layers: readonly Layer[]): Map<Layer, string> {
  const names = new Map<Layer, string>();
  const taken = new Set<string>();
  const ordered = [...layers].sort((a, b) => a.serial - b.serial);
  for (const fixed of [true, false]) {
    for (const layer of ordered) {
      if (layer.hasFixedName !== fixed) continue;
      const name = layer.nameIn((candidate) => taken.has(candidate));
      taken.add(name);
      names.set(layer, name);
    }
  }
  return names;
}

/** The document of a graph, with the options and trainability that its layers have now. */
export function documentOf({ nodes, layers, names, inputs, outputs }: ModelGraph): GraphDocument {
  const layerIndex = new Map(layers.map((layer, index) => [layer, index]));
  const nodeIndex = new Map(nodes.map((node, index) => [node, index]));
  const reference = ({ node, output }: SymbolicTensor): ValueReference => [nodeIndex.get(node)!, output];
  return {
    format: "sconce-graph",
    version: 1,
    layers: layers.map((layer): LayerDocument => {
      const document = layer.document(names.get(layer)!);
      return layer.type === "input" ? withSymbols(document, layer as InputLayer) : document;
    }),
    nodes: nodes.map(
      (node): NodeDocument => ({
        layer: layerIndex.get(node.layer)!,
        inputs: node.inputs.map(reference),
        ...(node.call !== undefined && { call: node.call }),
      }),
    ),
    inputs: inputs.map(reference),
    outputs: outputs.map(reference),
  };
}

/** Unknown sizes named by input and axis, so that a model defined twice has the same document. */
function withSymbols(document: LayerDocument, layer: InputLayer): LayerDocument {
  const shape = (layer.options.shape as readonly Dimension[]).map((dimension, axis) =>
    typeof dimension === "string" && /^unknown\d+$/.test(dimension)
      ? `${document.name.replace(/^=/, "_")}:${axis}`
      : dimension,
  );
  return { ...document, options: { ...document.options, shape } };
}
