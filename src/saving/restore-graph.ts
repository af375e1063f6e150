import { restoreConstraint } from "../constraints/resolve.ts";
import { FormatError } from "../errors.ts";
import type { GraphDocument, LayerDocument, ValueReference } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { restoreInitializer } from "../initializers/resolve.ts";
import { weight } from "../layers/custom/parts.ts";
import * as layers from "../layers/index.ts";
import { inputOf } from "../layers/input.ts";
import { checkName, type Layer } from "../layers/layer.ts";
import { WeightLayer } from "../layers/weight.ts";
import type { DataType, Dimension } from "../native-interface.ts";
import { operationPrefix, restoreOperation } from "../ops/operation.ts";
import { checkKeys, nameOption } from "../options.ts";
import { restoreRegularizer } from "../regularizers/resolve.ts";
import { asFormatError, checkComplete, checkLayer } from "./config.ts";

/** Every layer can be loaded that can be made; one of a function is its operations. */
const { lambda: _, ...factories } = layers;

type LayerType = keyof typeof factories;

const types = Object.keys(factories) as LayerType[];

/** Layers within layers that are read at most. */
const maximumDepth = 16;

/** A layer of a document; the factories check its options. */
function restoreLayer(document: LayerDocument, depth = 0): Layer {
  if (depth > maximumDepth)
    throw new FormatError(`layer ${document.name}: more than ${maximumDepth} layers are within each other`);
  if (document.type.startsWith(operationPrefix)) return restoreOperation(document);
  if (document.type === "weight") return restoreWeight(document);
  const type = nameOption(`layer ${document.name}`, "type", document.type, types);
  const options: Record<string, unknown> = { ...document.options };
  for (const key of Object.keys(options)) {
    if (key.endsWith("Initializer")) {
      options[key] = restoreInitializer(`layer ${document.name}`, key, document.options[key]);
    } else if (key === "layer" || key === "backwardLayer") {
      const wrapped = checkLayer(`layer ${document.name}: ${key}`, document.options[key]);
      if (type === "bidirectional")
        nameOption(`layer ${wrapped.name}`, "type", wrapped.type, ["lstm", "gru", "simpleRnn"]);
      options[key] = restoreLayer(wrapped, depth + 1);
    } else if (key !== "activityRegularizer" && key.endsWith("Regularizer")) {
      options[key] = restoreRegularizer(`layer ${document.name}`, key, document.options[key]);
    } else if (key.endsWith("Constraint")) {
      options[key] = restoreConstraint(`layer ${document.name}`, key, document.options[key]);
    }
  }
  const factory = factories[type] as unknown as (options: object) => Layer;
  const layer = factory({ ...options, name: document.name, trainable: document.trainable });
  checkComplete(`layer ${document.name}`, document.options, layer.options);
  return layer;
}

/** A weight of an own layer: its options are sizes and an initialiser. */
function restoreWeight(document: LayerDocument): Layer {
  const where = `layer ${document.name}`;
  checkKeys(where, document.options, ["shape", "initializer", "regularizer", "constraint"]);
  const { shape, initializer, regularizer, constraint } = document.options;
  const request = weight(shape as readonly number[], {
    initializer: restoreInitializer(where, "initializer", initializer),
    ...(regularizer !== undefined && { regularizer: restoreRegularizer(where, "regularizer", regularizer) }),
    ...(constraint !== undefined && { constraint: restoreConstraint(where, "constraint", constraint) }),
  });
  const name = checkName(where, document.name);
  return new WeightLayer(name, request.shape, request.initializer, document.trainable, request.rules);
}

function restoreInput(document: LayerDocument): SymbolicTensor {
  const where = `layer ${document.name}`;
  checkKeys(where, document.options, ["shape", "dtype"]);
  const { shape, dtype } = document.options;
  const sizes = (Array.isArray(shape) ? shape : []) as readonly unknown[];
  const dimensions = sizes.map((size): Dimension => {
    const isSize = typeof size === "number" && Number.isSafeInteger(size) && size >= 1;
    if (isSize || (typeof size === "string" && size.length > 0 && size.length <= 300)) return size;
    throw new FormatError(`${where}: shape must hold sizes and names of unknown sizes`);
  });
  if (dimensions.length === 0 || dimensions.length > 32)
    throw new FormatError(`${where}: shape must have 1 to 32 axes`);
  const type: DataType = nameOption(where, "dtype", dtype, ["float32", "int32"]);
  return inputOf(dimensions, type, checkName(where, document.name));
}

/**
 * Layers and tensors of a graph document.
 *
 * @returns The input tensors and output tensors.
 * @throws FormatError if options are wrong or shapes do not fit.
 */
export function restoreGraph(graph: GraphDocument): { inputs: SymbolicTensor[]; outputs: SymbolicTensor[] } {
  return asFormatError("graph", () => {
    const layers = graph.layers.map((layer) => (layer.type === "input" ? undefined : restoreLayer(layer)));
    const values: (readonly SymbolicTensor[])[] = [];
    const value = ([node, output]: ValueReference): SymbolicTensor => {
      const tensor = values[node]?.[output];
      if (tensor === undefined) throw new FormatError(`node ${node} has no output ${output}`);
      return tensor;
    };
    for (const node of graph.nodes) {
      const layer = layers[node.layer];
      if (layer !== undefined) values.push(layer.apply(node.inputs.map(value), node.call));
      else if (node.inputs.length === 0) values.push([restoreInput(graph.layers[node.layer]!)]);
      else throw new FormatError(`layer ${graph.layers[node.layer]!.name}: an input is not called`);
    }
    if (graph.inputs.length === 0 || graph.outputs.length === 0)
      throw new FormatError("inputs and outputs must not be empty");
    for (const [node] of graph.inputs) {
      if (layers[graph.nodes[node]!.layer] !== undefined)
        throw new FormatError(`node ${node} is among inputs but is none`);
    }
    return { inputs: graph.inputs.map(value), outputs: graph.outputs.map(value) };
  });
}
