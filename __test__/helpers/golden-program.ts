/** Random Keras programs as `__test__/golden/keras/programs/make.py` describes them. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import * as sconce from "../../src/index.ts";
import { formulaValues } from "./formula-weights.ts";

/** An object in sconce's words: a layer, regulariser, loss, ... with its options. */
export interface Description {
  type: string;
  options: Record<string, unknown>;
}

/** Numbers: ids, float32 in base64, or by formula with zeroed rows. */
interface Numbers {
  shape: number[];
  ids?: number[];
  floats?: string;
  seed?: number;
  zeroed?: number[];
}

/** A program and what Keras computed. */
export interface Program {
  number: number;
  inputs: { shape: (number | null)[]; dtype: "int32" | "float32"; data: Numbers }[];
  calls: { layer: Description; inputs: number[]; state?: number[]; outputs: number }[];
  output: number;
  shape: number[];
  prediction: string;
  target?: Numbers;
  loss: Description;
  metrics: Description[];
  optimizer: Description;
  sampleWeight?: Numbers;
  evaluation: number[];
  history: number[];
  updated?: string[];
}

const file = new URL("../golden/keras/programs/programs.jsonl.gz", import.meta.url);

/** All programs. */
export function goldenPrograms(): Program[] {
  const lines = gunzipSync(readFileSync(file)).toString("utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Program);
}

/** Float32 values in base64. */
export function decoded(text: string): Float32Array {
  const bytes = Buffer.from(text, "base64");
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}

/** The array of a description. */
export function numbers({ shape, ids, floats, seed, zeroed }: Numbers) {
  if (ids !== undefined) return sconce.ndarray(Int32Array.from(ids), shape);
  if (floats !== undefined) return sconce.ndarray(decoded(floats), shape);
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  const values = formulaValues(seed!, size, 1);
  const width = shape.at(-1)!;
  for (const row of zeroed ?? []) values.fill(0, row * width, (row + 1) * width);
  return sconce.ndarray(values, shape);
}

type Factories = Readonly<Record<string, ((options: never) => unknown) | undefined>>;

const places = ["layers", "regularizers", "constraints", "optimizers", "losses", "metrics"] as const;

function isDescription(value: unknown): value is Description {
  return typeof value === "object" && value !== null && "type" in value && "options" in value;
}

/** What a description stands for, made by the public functions; the first of `from` that has the type. */
export function made({ type, options }: Description, from: readonly (typeof places)[number][] = places): unknown {
  const namespaces = sconce as unknown as Readonly<Record<string, Factories | undefined>>;
  const factory = from.map((place) => namespaces[place]?.[type]).find((found) => found !== undefined);
  if (factory === undefined) throw new Error(`sconce has no ${type}`);
  const given = Object.entries(options).map(([key, value]) => [key, isDescription(value) ? made(value) : value]);
  return factory(Object.fromEntries(given) as never);
}

type Call = (...inputs: unknown[]) => sconce.SymbolicTensor | readonly sconce.SymbolicTensor[];

/** The model of a program with its weights by formula, and its layers in the order of the calls. */
export async function programModel({ number, inputs, calls, output }: Program) {
  const values: (readonly sconce.SymbolicTensor[])[] = [];
  const flat: sconce.SymbolicTensor[] = [];
  // An input is described where it is first used: the values of the program are numbered in the order of making.
  const order = [...inputs];
  const keep = (made: readonly sconce.SymbolicTensor[]) => {
    values.push(made);
    flat.push(...made);
  };
  const modelInputs: sconce.SymbolicTensor[] = [];
  const layers: sconce.Layer[] = [];
  const nextInput = () => {
    const { shape, dtype } = order.shift()!;
    const tensor = sconce.input({ shape, dtype });
    modelInputs.push(tensor);
    keep([tensor]);
  };
  for (const call of calls) {
    while (Math.max(...call.inputs, ...(call.state ?? [])) >= flat.length) nextInput();
    const layer = made(call.layer, ["layers"]) as sconce.Layer;
    layers.push(layer);
    const given = call.inputs.map((index) => flat[index]!);
    const first = given.length > 1 ? given : given[0]!;
    const state = call.state?.map((index) => flat[index]!);
    const result = (layer as unknown as Call)(...(state === undefined ? [first] : [first, { initialState: state }]));
    keep(Array.isArray(result) ? (result as sconce.SymbolicTensor[]) : [result as sconce.SymbolicTensor]);
  }
  const model = sconce.model({ inputs: modelInputs, outputs: flat[output]! });
  let seed = 1000 * number;
  const weights = layers.map((layer) =>
    layer.weights.map(({ shape }) => {
      const size = shape.reduce((product, dimension) => product * dimension, 1);
      return sconce.ndarray(formulaValues(seed++, size, 0.7), [...shape]);
    }),
  );
  await model.build();
  for (const [index, layer] of layers.entries()) {
    if (weights[index]!.length > 0) await layer.setWeights(weights[index]!);
  }
  return { model, layers };
}
