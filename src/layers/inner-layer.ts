import { inspect } from "node:util";
import { OptionError } from "../errors.ts";
import type { Json } from "../graph/document.ts";
import { Layer } from "./layer.ts";

/**
 * Takes a layer into another, whose weights its own become; it cannot be called by itself from then on.
 *
 * @returns Its document, as the options of the other layer hold it.
 * @throws OptionError if it is no layer, was called, or is within another layer.
 */
export function takeLayer(where: string, layer: unknown): Json {
  if (!(layer instanceof Layer)) {
    throw new OptionError(`${where}: layer must be a layer, such as layers.dense({ units: 4 }), got ${inspect(layer)}`);
  }
  layer.belongTo(where);
  const { name, type, trainable, options } = layer.document(layer.hasFixedName ? layer.name : layer.type);
  return { name, type, trainable, options };
}
