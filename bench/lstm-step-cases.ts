import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { formulaIntegers, formulaValues } from "../__test__/helpers/formula-weights.ts";

/** Where an array lies in a file: offset in bytes, four bytes a value. */
export interface Place {
  shape: number[];
  offset: number;
}

/** What both sides train: written to files once, so that neither computes its data while it is measured. */
export interface StepCase {
  vocabulary: number;
  dimension: number;
  units: number;
  /** Whether id 0 is padding, which counts nowhere. */
  masked: boolean;
  /** embeddings, then kernel, recurrent kernel and bias of encoder and decoder, then kernel and bias of the output: Keras' layouts. */
  weights: Place[];
  weightsFile: string;
  /** Source, decoder and goal ids of each batch. */
  batches: Place[][];
  idsFile: string;
}

const dimension = 50;
const units = 256;
const batchSize = 64;
const batchCount = 64;

/** An array of ids. */
export type Ids = { shape: number[]; data: Int32Array };

/** The cases by name: vocabulary and batches. */
const cases: Record<string, { vocabulary: number; masked: boolean; batches(): Ids[][] }> = {
  V8000: { vocabulary: 8000, masked: false, batches: () => fixedLength(8000) },
  V30000: { vocabulary: 30000, masked: false, batches: () => fixedLength(30000) },
  tatoeba: { vocabulary: 8000, masked: true, batches: () => sentences(8000, false) },
  "tatoeba-bucketed": { vocabulary: 8000, masked: true, batches: () => sentences(8000, true) },
};

/** Names of all cases. */
export const caseNames = Object.keys(cases);

/** Writes the files of a case into a folder. */
export function writeCase(name: string, folder: string): StepCase {
  const { vocabulary, masked, batches } = cases[name]!;
  const gates = 4 * units;
  const lstm = [[dimension, gates], [units, gates], [gates]];
  const shapes = [[vocabulary, dimension], ...lstm, ...lstm, [units, vocabulary], [vocabulary]];
  const weights = shapes.map((shape, index) => ({ shape, data: formulaValues(index + 1, sizeOf(shape), 0.05) }));
  const weightsFile = join(folder, `${name}.weights`);
  const idsFile = join(folder, `${name}.ids`);
  const places = write(idsFile, batches().flat());
  return {
    vocabulary,
    dimension,
    units,
    masked,
    weights: write(weightsFile, weights),
    weightsFile,
    batches: Array.from({ length: places.length / 3 }, (_, index) => places.slice(3 * index, 3 * index + 3)),
    idsFile,
  };
}

/** Elements of a shape. */
export function sizeOf(shape: number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Writes arrays one behind the other; says where they lie. */
export function write(path: string, arrays: { shape: number[]; data: Float32Array | Int32Array }[]): Place[] {
  let offset = 0;
  const places = arrays.map(({ shape, data }) => {
    const place = { shape, offset };
    offset += data.byteLength;
    return place;
  });
  writeFileSync(
    path,
    Buffer.concat(arrays.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))),
  );
  return places;
}

/** 20 words on each side, spread evenly over the vocabulary. */
export function fixedLength(vocabulary: number): Ids[][] {
  const length = 20;
  return Array.from({ length: batchCount }, (_, batch) =>
    [0, 1, 2].map((side) => ({
      shape: [batchSize, length],
      data: formulaIntegers(1000 + 3 * batch + side, batchSize * length, 1, vocabulary),
    })),
  );
}

/** Real pairs in a fixed mixed order, or pairs of similar length together; each batch is padded to its longest sentence. */
export function sentences(limit: number, bucketed: boolean): Ids[][] {
  const packed = readFileSync(new URL("../data/tatoeba-en-zh.train.tsv.gz", import.meta.url));
  const pairs = gunzipSync(packed)
    .toString("utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [source, target] = line.split("\t");
      return {
        source: source!.toLowerCase().match(/[a-z0-9']+|[^\sa-z0-9']/gu) ?? [],
        target: [...target!.replaceAll(/\s/gu, "")],
      };
    });
  const counts = new Map<string, number>();
  for (const { source, target } of pairs) {
    for (const word of [...source, ...target]) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  // 0 padding, 1 unknown, 2 begin, 3 end.
  const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, limit - 4);
  const ids = new Map(common.map(([word], index) => [word, index + 4]));
  const known = (words: string[]) => words.map((word) => ids.get(word) ?? 1);
  const keys = formulaValues(1, pairs.length, 1);
  const mixed = pairs.map((_, index) => index).sort((a, b) => keys[a]! - keys[b]!);
  if (bucketed) mixed.sort((a, b) => pairs[a]!.target.length - pairs[b]!.target.length);
  const groups = Math.floor(pairs.length / batchSize);
  // Groups are taken evenly from all, in a mixed order: 37 and the number of batches have no common factor.
  return Array.from({ length: batchCount }, (_, batch) => {
    const group = Math.floor((((batch * 37) % batchCount) * groups) / batchCount);
    const rows = mixed.slice(group * batchSize, (group + 1) * batchSize).map((index) => pairs[index]!);
    return [
      padded(rows.map(({ source }) => known(source))),
      padded(rows.map(({ target }) => [2, ...known(target)])),
      padded(rows.map(({ target }) => [...known(target), 3])),
    ];
  });
}

function padded(rows: number[][]): Ids {
  const length = Math.max(...rows.map((row) => row.length));
  const data = new Int32Array(rows.length * length);
  for (const [index, row] of rows.entries()) data.set(row, index * length);
  return { shape: [rows.length, length], data };
}
