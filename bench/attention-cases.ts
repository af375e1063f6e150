import { join } from "node:path";
import { formulaIntegers, formulaValues } from "../__test__/helpers/formula-weights.ts";
import { type Place, sizeOf, write } from "./lstm-step-cases.ts";

/** What both sides train: one attention layer over embeddings, whose mean over time is classified. */
export interface AttentionCase {
  vocabulary: number;
  /** Width of the embeddings and of all heads together. */
  dimension: number;
  heads: number;
  /** Whether a query sees no later keys. */
  causal: boolean;
  classes: number;
  /** Queries, and keys, of a sequence. */
  length: number;
  /** Layer and weight of each of `weights`. */
  weightNames: string[];
  /** In Keras' layouts. */
  weights: Place[];
  weightsFile: string;
  /** Ids of the keys, ids of the queries, and classes of each batch. */
  batches: Place[][];
  idsFile: string;
}

const vocabulary = 1000;
const classes = 16;
const headWidth = 64;
/** Queries of a batch. */
const tokens = 8192;
const lengths = [256, 512, 1024, 2048, 4096, 8192];

/** The cases by name. */
const cases = new Map<string, { heads: number; causal: boolean; length: number }>();
for (const heads of [8, 4]) {
  for (const causal of [false, true]) {
    for (const length of lengths) {
      cases.set(`T${length}-h${heads}${causal ? "-causal" : ""}`, { heads, causal, length });
    }
  }
}

/** Names of all cases: length, heads of 64, and whether they are causal. */
export const attentionCaseNames = [...cases.keys()];

/** Writes the files of a case into a folder. */
export function writeAttentionCase(name: string, folder: string): AttentionCase {
  const { heads, causal, length } = cases.get(name)!;
  const dimension = heads * headWidth;
  const split = ["query", "key", "value"].flatMap((part): [string, number[]][] => [
    [`attention/${part}/kernel`, [dimension, heads, headWidth]],
    [`attention/${part}/bias`, [heads, headWidth]],
  ]);
  const shapes: [string, number[]][] = [
    ["embedding/embeddings", [vocabulary, dimension]],
    ...split,
    ["attention/attentionOutput/kernel", [heads, headWidth, dimension]],
    ["attention/attentionOutput/bias", [dimension]],
    ["classes/kernel", [dimension, classes]],
    ["classes/bias", [classes]],
  ];
  const arrays = shapes.map(([weight, shape], index) => ({
    shape,
    data: formulaValues(index + 1, sizeOf(shape), weight.startsWith("embedding") ? 1 : Math.sqrt(3 / dimension)),
  }));
  const weightsFile = join(folder, `${name}.weights`);
  const idsFile = join(folder, `${name}.ids`);
  const batch = tokens / length;
  const ids = [0, 1].flatMap((number) => [
    { shape: [batch, length], data: formulaIntegers(3 * number + 1, tokens, 0, vocabulary) },
    { shape: [batch, length], data: formulaIntegers(3 * number + 2, tokens, 0, vocabulary) },
    { shape: [batch], data: formulaIntegers(3 * number + 3, batch, 0, classes) },
  ]);
  const places = write(idsFile, ids);
  return {
    vocabulary,
    dimension,
    heads,
    causal,
    classes,
    length,
    weightNames: shapes.map(([weight]) => weight),
    weights: write(weightsFile, arrays),
    weightsFile,
    batches: [places.slice(0, 3), places.slice(3)],
    idsFile,
  };
}
