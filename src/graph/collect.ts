import { GraphError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import type { LayerNode } from "./node.ts";
import { type Scope, within } from "./scope.ts";
import type { SymbolicTensor } from "./tensor.ts";

/** The calls and layers between inputs and outputs. */
export interface CollectedGraph {
  /** Calls in the order in which they were made: inputs before their users. */
  readonly nodes: readonly LayerNode[];
  /** Layers in Keras' order, which is the order of weights. */
  readonly layers: readonly Layer[];
}

/**
 * The calls that lead from inputs to outputs, and their layers in the order of Keras: by distance from the outputs, the
 * farthest first, then by the order in which a search from the outputs meets them.
 *
 * @param inputs - Outputs of input layers.
 * @param outputs - Where the search begins.
 * @throws GraphError if an output depends on an input layer that is not in `inputs`.
 * @see `map_graph` in `keras/src/ops/function.py`
 */
export function collectGraph(inputs: readonly SymbolicTensor[], outputs: readonly SymbolicTensor[]): CollectedGraph {
  const { nodes, met } = search(outputs, new Set());
  const given = new Set(inputs.map(({ node }) => node));
  const nodeDepth = new Map<LayerNode, number>();
  const layerDepth = new Map<Layer, number>();
  for (const node of nodes.toReversed()) {
    if (node.layer.type === "input" && !given.has(node)) {
      throw new GraphError(`the outputs depend on ${node.layer.name}, which is not among the inputs of the model`);
    }
    // A shared layer counts as far away as its farthest call.
    const depth = Math.max(nodeDepth.get(node) ?? 0, layerDepth.get(node.layer) ?? 0);
    nodeDepth.set(node, depth);
    layerDepth.set(node.layer, depth);
    for (const { node: parent } of node.inputs) {
      nodeDepth.set(parent, Math.max(nodeDepth.get(parent) ?? 0, depth + 1));
    }
  }
  const unused = [...given].filter((node) => !layerDepth.has(node.layer));
  for (const { layer } of unused) {
    layerDepth.set(layer, 0);
    met.set(layer, -1);
  }
  const layers = [...layerDepth.keys()].sort(
    (a, b) => layerDepth.get(b)! - layerDepth.get(a)! || met.get(a)! - met.get(b)!,
  );
  return { nodes: [...unused, ...nodes].sort((a, b) => a.serial - b.serial), layers };
}

/**
 * The outputs again, with other tensors in the place of some: the calls between are made anew, with the same layers.
 *
 * @param outputs - What depends on the tensors.
 * @param replacements - A tensor for each that is replaced.
 * @throws ShapeError if a layer does not take the new shapes.
 */
export function replay(
  outputs: readonly SymbolicTensor[],
  replacements: ReadonlyMap<SymbolicTensor, SymbolicTensor>,
): SymbolicTensor[] {
  const known = new Map(replacements);
  const scopes = new Map<Scope, Scope>();
  for (const node of search(outputs, new Set(replacements.keys())).nodes) {
    if (node.layer.type === "input") continue;
    let scope = node.scope;
    if (scope !== undefined) {
      scope = scopes.get(scope) ?? { layer: scope.layer };
      scopes.set(node.scope!, scope);
    }
    const inputs = node.inputs.map((tensor) => known.get(tensor) ?? tensor);
    const results = within(scope, () => node.layer.apply(inputs, node.call));
    for (const [index, result] of results.entries()) {
      const before = node.outputs[index]!;
      if (!known.has(before)) known.set(before, result);
    }
  }
  return outputs.map((output) => known.get(output) ?? output);
}

/** Calls that lead to the outputs, depth first and without recursion (graphs may be deep); not beyond `cut`. */
function search(
  outputs: readonly SymbolicTensor[],
  cut: ReadonlySet<SymbolicTensor>,
): { nodes: LayerNode[]; met: Map<Layer, number> } {
  const nodes: LayerNode[] = [];
  const entered = new Set<LayerNode>();
  const met = new Map<Layer, number>();
  const stack: { node: LayerNode; next: number }[] = [];
  const enter = (tensor: SymbolicTensor) => {
    const { node } = tensor;
    if (cut.has(tensor) || entered.has(node)) return;
    entered.add(node);
    if (!met.has(node.layer)) met.set(node.layer, met.size);
    stack.push({ node, next: 0 });
  };
  for (const output of outputs) {
    enter(output);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const input = top.node.inputs[top.next++];
      if (input !== undefined) {
        enter(input);
        continue;
      }
      nodes.push(top.node);
      stack.pop();
    }
  }
  return { nodes, met };
}
