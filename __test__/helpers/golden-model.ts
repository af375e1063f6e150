import { input, layers, type Model, model, type SymbolicTensor } from "../../src/index.ts";
import { formulaValues } from "./formula-weights.ts";

/** A graph document as the golden files hold it (docs/graph.md). */
export interface GoldenDocument {
  layers: { name: string; type: string; options: Record<string, unknown> }[];
  nodes: { layer: number; inputs: [number, number][] }[];
  inputs: [number, number][];
  outputs: [number, number][];
}

/** A weight of a golden file: its initial values are `formulaValues(seed, size, scale)`. */
export interface GoldenWeight {
  layer: string;
  name: string;
  shape: number[];
  seed: number;
  scale: number;
}

type Call = (inputs: SymbolicTensor[]) => SymbolicTensor[];

/** Initialisers are left out: golden weights are set. */
function givenOptions(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !name.endsWith("Initializer")));
}

function layerOf({ name, type, options }: GoldenDocument["layers"][number]): Call {
  const given = { name, ...givenOptions(options) };
  switch (type) {
    case "input": {
      const shape = (options.shape as (number | string)[])
        .slice(1)
        .map((size) => (typeof size === "string" ? null : size));
      return () => [input({ name, shape, dtype: options.dtype as "float32" | "int32" })];
    }
    case "embedding": {
      const layer = layers.embedding(given as unknown as Parameters<typeof layers.embedding>[0]);
      return ([x]) => [layer(x!)];
    }
    case "lstm": {
      const layer = layers.lstm({ ...given, returnState: true } as unknown as { units: number; returnState: true });
      return ([x, h, c]) => layer(x!, h === undefined || c === undefined ? {} : { initialState: [h, c] });
    }
    case "dense": {
      const layer = layers.dense(given as unknown as Parameters<typeof layers.dense>[0]);
      return ([x]) => [layer(x!)];
    }
  }
  throw new Error(`no golden model has a layer of type ${type}`);
}

/** The model of a golden file, made by the public interface. */
export function goldenModel(document: GoldenDocument): Model {
  const calls = document.layers.map(layerOf);
  const values: SymbolicTensor[][] = [];
  const at = ([node, output]: [number, number]) => values[node]![output]!;
  for (const { layer, inputs } of document.nodes) values.push(calls[layer]!(inputs.map(at)));
  return model({ inputs: document.inputs.map(at), outputs: document.outputs.map(at) });
}

/** The initial weights of a golden file. */
export function goldenWeights(weights: readonly GoldenWeight[]): { data: Float32Array; shape: number[] }[] {
  return weights.map(({ shape, seed, scale }) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    return { data: formulaValues(seed, size, scale), shape };
  });
}

/** Euclidean norm of `a - b`, or of `a`. */
export function norm(a: ArrayLike<number>, b?: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += (a[index]! - (b?.[index] ?? 0)) ** 2;
  return Math.sqrt(sum);
}
