import { FormatError, OptionError } from "../../errors.ts";
import type { Hdf5Group } from "./hdf5/file.ts";
import { asItIs, type ForeignWeight, type FoundLayer, type WantedLayer } from "./weights.ts";

/**
 * Keras' class of each type of layer with weights, as it names groups: the layers of a class are numbered in the order of the
 * model, `dense`, `dense_1` and so on. Types that are not listed have the name of the type in snake case.
 */
const classes: Readonly<Record<string, string>> = {
  embedding: "embedding",
  dense: "dense",
  lstm: "lstm",
  gru: "gru",
  simpleRnn: "simple_rnn",
  bidirectional: "bidirectional",
  timeDistributed: "time_distributed",
  layerNormalization: "layer_normalization",
};

/**
 * Groups within the group of a layer in the order in which Keras lists their weights: those of the layer itself in `vars`, those
 * of a cell in `cell/vars`, those of wrapped layers in `forward_layer`, `backward_layer` and `layer`.
 */
const parts = ["vars", "cell", "cells", "layer", "forward_layer", "backward_layer"];

/** Groups that hold no weights: the state of random numbers. */
const ignored = new Set(["seed_generator"]);

/** What a file of Keras says of a layer. */
interface KerasLayer {
  /** Name that the layer had in Python. */
  readonly name: string;
  readonly group: Hdf5Group;
  readonly weights: readonly ForeignWeight[];
}

/**
 * Finds the weights of layers in a file that Keras 3 wrote with `save_weights` or, within an archive, `save`.
 *
 * @param where - For messages.
 * @param root - The file.
 * @param layers - All layers of the model, in Keras' order.
 * @param byName - Whether layers are found by their names in Python; those on one side only are left out then.
 * @returns A part for each layer that gets weights, not yet judged by their shapes.
 * @throws FormatError if the file is not of Keras 3, or holds other layers.
 */
export function findKerasWeights(
  where: string,
  root: Hdf5Group,
  layers: readonly WantedLayer[],
  byName: boolean,
): FoundLayer[] {
  const group = root.groups.get("layers");
  if (group === undefined) {
    const legacy = root.groups.has("model_weights") || root.groups.has("top_level_model_weights");
    throw new FormatError(
      legacy
        ? `${where}: this file was written by Keras 2; load it there and save it with Keras 3 as .weights.h5 or .keras`
        : `${where}: this is no file of Keras weights: it has no group "layers"`,
    );
  }
  const wanted = layers.filter(({ weights }) => weights.length > 0);
  return byName ? matchNames(where, group, wanted) : matchOrder(where, group, layers);
}

/** Layers of a class stand in the order of the model. */
function matchOrder(where: string, group: Hdf5Group, layers: readonly WantedLayer[]): FoundLayer[] {
  const counts = new Map<string, number>();
  const used = new Set<string>();
  const found: FoundLayer[] = [];
  for (const layer of layers) {
    const name = classes[layer.type] ?? snakeCase(layer.type);
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    const key = count === 0 ? name : `${name}_${count}`;
    used.add(key);
    if (layer.weights.length === 0) continue;
    const own = group.groups.get(key);
    if (own === undefined) {
      throw new FormatError(
        `${where}: layer ${layer.name} (${layer.type}): expected group layers/${key}, the file has ${listed(group)}; ` +
          "the models must have the same layers, or share names with byName: true",
      );
    }
    found.push({ layer, weights: weightsIn(own) });
  }
  for (const [key, own] of group.groups) {
    if (!used.has(key) && weightsIn(own).length > 0) {
      throw new FormatError(
        `${where}: the file has weights of ${own.path} (${pythonName(own) ?? "without a name"}), but the model has no such layer; ` +
          "byName: true takes only layers whose names agree",
      );
    }
  }
  return found;
}

function matchNames(where: string, group: Hdf5Group, layers: readonly WantedLayer[]): FoundLayer[] {
  const named = new Map<string, KerasLayer>();
  const collect = (from: Hdf5Group): void => {
    for (const own of from.groups.values()) {
      const inner = own.groups.get("layers");
      if (inner !== undefined) {
        collect(inner);
        continue;
      }
      const weights = weightsIn(own);
      const name = pythonName(own);
      if (name === undefined || weights.length === 0) continue;
      if (named.has(name)) throw new FormatError(`${where}: two layers in the file are called ${JSON.stringify(name)}`);
      named.set(name, { name, group: own, weights });
    }
  };
  collect(group);
  const found = layers.flatMap((layer): FoundLayer[] => {
    const own = named.get(layer.name);
    return own === undefined ? [] : [{ layer, weights: own.weights }];
  });
  if (found.length === 0) {
    throw new OptionError(
      `${where}: byName: no layer of the model has a name of the file; there are ${[...named.keys()].join(", ") || "none"}`,
    );
  }
  return found;
}

function pythonName(group: Hdf5Group): string | undefined {
  return group.groups.get("vars")?.attributes.get("name");
}

function listed(group: Hdf5Group): string {
  const keys = [...group.groups].filter(([, own]) => weightsIn(own).length > 0).map(([key]) => key);
  return keys.length === 0 ? "no weights" : keys.join(", ");
}

/** All weights below a group in Keras' order. */
function weightsIn(group: Hdf5Group): ForeignWeight[] {
  const found: ForeignWeight[] = [];
  if (lastName(group) === "vars") {
    for (const key of [...group.datasets.keys()].sort(byNumber)) {
      found.push(asItIs(`${group.path}/${key}`, group.datasets.get(key)!));
    }
  }
  const rank = (name: string) => {
    const place = parts.indexOf(name);
    return place === -1 ? parts.length : place;
  };
  const keys = [...group.groups.keys()].filter((key) => !ignored.has(key));
  for (const key of keys.sort((a, b) => rank(a) - rank(b) || byNumber(a, b))) {
    found.push(...weightsIn(group.groups.get(key)!));
  }
  return found;
}

function lastName(group: Hdf5Group): string {
  return group.path.slice(group.path.lastIndexOf("/") + 1);
}

/** Numbers in names count as numbers: 2 comes before 10. */
function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

/** As Keras makes names of classes: `globalAveragePooling1d` becomes `global_average_pooling1d`. */
function snakeCase(type: string): string {
  return type.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
