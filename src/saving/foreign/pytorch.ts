import { FormatError, OptionError, ShapeError } from "../../errors.ts";
import { findModules, type TorchModule } from "./pytorch/modules.ts";
import { recurrentWeights } from "./pytorch/recurrent.ts";
import {
  asItIs,
  checkFound,
  type ForeignArray,
  type ForeignWeight,
  type FoundLayer,
  type WantedLayer,
} from "./weights.ts";

/** A PyTorch module that gives its weights to a layer. */
export interface TorchSource {
  /** Name of the module in the `state_dict`, without the name of the parameter, such as `"encoder.rnn"`. */
  prefix: string;
  /** Which layer of a stacked recurrent module, from 0; default 0. */
  layer?: number;
  /** Takes the direction that runs from the end, for a layer that is not bidirectional; default `false`. */
  reverse?: boolean;
}

/**
 * Finds the weights of layers in a `state_dict`.
 *
 * @param where - For messages.
 * @param tensors - The file.
 * @param layers - All layers of the model.
 * @param mapping - Module of each layer by the layer's name; layers that are not named are left out. Default: by names, then by
 *   kinds and shapes.
 * @returns A part for each layer that gets weights, with shapes that fit.
 * @throws OptionError if `mapping` names what does not exist or is needed; ShapeError if shapes do not fit.
 */
export function findTorchWeights(
  where: string,
  tensors: ReadonlyMap<string, ForeignArray>,
  layers: readonly WantedLayer[],
  mapping: Readonly<Record<string, string | TorchSource>> | undefined,
): FoundLayer[] {
  const modules = findModules(where, tensors);
  const wanted = layers.filter(({ weights }) => weights.length > 0);
  if (mapping === undefined) return matchAll(where, modules, wanted);
  return Object.entries(mapping).map(([name, source]) => {
    const layer = wanted.find((own) => own.name === name);
    if (layer === undefined) {
      const known = wanted.map((own) => own.name).join(", ");
      throw new OptionError(`${where}: mapping: no layer ${JSON.stringify(name)} with weights; there are ${known}`);
    }
    const { prefix, layer: depth = 0, reverse = false } = sourceOf(where, name, source);
    const module = modules.find((own) => own.prefix === prefix && own.depth === depth);
    if (module === undefined) {
      const known = modules.map(shown).join(", ");
      throw new OptionError(
        `${where}: mapping: layer ${name}: no module ${JSON.stringify(prefix)} (layer ${depth}); the file has ${known || "none"}`,
      );
    }
    const found = { layer, weights: weightsOf(where, module, layer, reverse) };
    checkFound(where, found);
    return found;
  });
}

function sourceOf(where: string, name: string, source: unknown): TorchSource {
  if (typeof source === "string") return { prefix: source };
  const { prefix, layer, reverse, ...rest } = (source ?? {}) as Partial<TorchSource>;
  const isCount = layer === undefined || (Number.isSafeInteger(layer) && layer >= 0);
  if (typeof prefix !== "string" || !isCount || Object.keys(rest).length > 0) {
    throw new OptionError(`${where}: mapping: layer ${name} needs the name of a module, or { prefix, layer, reverse }`);
  }
  return { prefix, ...(layer === undefined ? {} : { layer }), reverse: reverse === true };
}

/** Each layer gets a module: the one with its name, else the only one that fits. */
function matchAll(where: string, modules: readonly TorchModule[], layers: readonly WantedLayer[]): FoundLayer[] {
  const free = new Set(modules);
  const chosen = new Map<WantedLayer, TorchModule>();
  for (const layer of layers) {
    const named = modules.find((module) => module.prefix === layer.name && module.depth === 0);
    if (named === undefined) continue;
    chosen.set(layer, named);
    free.delete(named);
  }
  // Layers of one kind and shape stand together; so do the modules that fit them.
  const groups = new Map<string, WantedLayer[]>();
  for (const layer of layers) {
    if (chosen.has(layer)) continue;
    const key = `${layer.type} ${JSON.stringify(layer.weights.map(({ shape }) => shape))}`;
    groups.set(key, [...(groups.get(key) ?? []), layer]);
  }
  for (const group of groups.values()) {
    const fitting = [...free].filter((module) => fits(where, module, group[0]!));
    if (fitting.length !== group.length || !isOrdered(fitting)) throw undecided(where, group, fitting, modules);
    for (const [index, layer] of group.entries()) {
      chosen.set(layer, fitting[index]!);
      free.delete(fitting[index]!);
    }
  }
  if (free.size > 0) {
    throw new FormatError(
      `${where}: no layer of the model fits ${[...free].map(shown).join(", ")}; mapping: { LAYER: MODULE } tells which modules to take`,
    );
  }
  return layers.map((layer) => {
    const found = { layer, weights: weightsOf(where, chosen.get(layer)!, layer, false) };
    checkFound(where, found);
    return found;
  });
}

/** Whether modules differ in numbers only, as those of `nn.Sequential` and stacked ones do, whose order is known. */
function isOrdered(modules: readonly TorchModule[]): boolean {
  const kinds = new Set(modules.map(({ prefix }) => prefix.replace(/\d+/g, "#")));
  return kinds.size <= 1;
}

function undecided(
  where: string,
  layers: readonly WantedLayer[],
  fitting: readonly TorchModule[],
  all: readonly TorchModule[],
): OptionError {
  const names = layers.map(({ name }) => name);
  const shapes = layers[0]!.weights.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
  const candidates = fitting.length === 0 ? `none of ${all.map(shown).join(", ")} fits` : fitting.map(shown).join(", ");
  const example = `mapping: { ${names.map((name) => `${JSON.stringify(name)}: ${JSON.stringify(fitting[0]?.prefix ?? "MODULE")}`).join(", ")} }`;
  return new OptionError(
    `${where}: layer ${names.join(", ")} (${layers[0]!.type}, ${shapes}): which module belongs to which layer cannot be told: ` +
      `${candidates}; tell it, as in ${example}`,
  );
}

function fits(where: string, module: TorchModule, layer: WantedLayer): boolean {
  try {
    checkFound(where, { layer, weights: weightsOf(where, module, layer, false) });
    return true;
  } catch (error) {
    if (error instanceof ShapeError || error instanceof FormatError) return false;
    throw error;
  }
}

function shown({ prefix, depth, kind }: TorchModule): string {
  const stacked = depth === 0 ? "" : `, layer ${depth}`;
  return `${JSON.stringify(prefix)} (${kind}${stacked})`;
}

/** The weights of a module in the layout of a layer. */
function weightsOf(where: string, module: TorchModule, layer: WantedLayer, reverse: boolean): ForeignWeight[] {
  const refuse = (): never => {
    throw new ShapeError(
      `${where}: layer ${layer.name} (${layer.type}): got ${shown(module)}, which is a module of another kind`,
    );
  };
  const parameter = (name: string) => {
    const from = module.prefix === "" ? name : `${module.prefix}.${name}`;
    return { from, array: module.parameters.get(name) };
  };
  const plain = (name: string): ForeignWeight[] => {
    const { from, array } = parameter(name);
    return array === undefined ? [] : [asItIs(from, array)];
  };
  const type = innerType(layer);
  if (type === "embedding") return module.kind === "table" ? plain("weight") : refuse();
  if (type === "layerNormalization") {
    return module.kind === "normalization" ? [...plain("weight"), ...plain("bias")] : refuse();
  }
  if (type === "dense") {
    if (module.kind !== "table") return refuse();
    const { from, array } = parameter("weight");
    return [transposed(from, array!), ...plain("bias")];
  }
  if (module.kind === "table" || module.kind === "normalization") return refuse();
  return recurrentWeights(where, module, layer, reverse) ?? refuse();
}

/** The layer that has the weights, where one is around it at each time step. */
function innerType({ type, options }: WantedLayer): string {
  if (type !== "timeDistributed") return type;
  const inner = (options as { layer?: { type?: unknown } }).layer?.type;
  return typeof inner === "string" ? inner : "dense";
}

/** `[out, in]` as `[in, out]`. */
function transposed(from: string, array: ForeignArray): ForeignWeight {
  const [rows = 0, columns = 0] = array.shape;
  return {
    shape: [columns, rows],
    from: `${from}, transposed,`,
    async make() {
      const values = await array.read();
      const result = new Float32Array(values.length);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) result[column * rows + row] = values[row * columns + column]!;
      }
      return result;
    },
  };
}
