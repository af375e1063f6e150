import type { Dataset } from "../data/dataset.ts";
import type { DatasetPosition } from "../data/dataset-iterator.ts";
import type { DataBatch } from "../data/example.ts";
import { permutation } from "../data/random.ts";
import { DataError } from "../errors.ts";
import type { Batch } from "../native-interface.ts";
import { isNumberArray } from "./array-input.ts";
import { weighClasses } from "./class-weight.ts";
import { type Column, inputColumn, rowsOf, targetColumn, weightColumn } from "./column.ts";
import type { TensorSpecification } from "./trainable.ts";

/** The arrays of one step. */
export interface StepData {
  readonly inputs: Batch[];
  readonly targets: Batch[];
  readonly sampleWeights: (Batch | null)[];
  readonly rows: number;
  /** Where the batch after it lies, for data that are read anew in each pass. */
  readonly next?: DatasetPosition["cursor"];
  /** Batches of the pass that it belongs to, if that is known. */
  readonly count?: number;
}

/** Data in batches, pass after pass. */
export interface BatchSource {
  /** Whether a pass can be entered anywhere. */
  readonly resumable: boolean;
  /** Batches of the first pass, if that is known; others may have more or less. */
  readonly count: number | undefined;
  /** What must be the same for a resumed run. */
  readonly identity: Readonly<Record<string, number | string | boolean | null>>;
  /** The batches of a pass from a position on. */
  read(position: DatasetPosition): AsyncGenerator<StepData>;
}

/** Arrays that are trained on. */
export interface ArraySet {
  readonly inputs: readonly Column[];
  readonly targets: readonly Column[];
  readonly sampleWeights: readonly (Column | null)[];
}

/** The rows that all arrays have. */
export function rowCount(columns: readonly Column[]): number {
  const first = columns[0];
  const rows = first?.shape[0];
  if (first === undefined || rows === undefined) throw new DataError("expected at least one array with rows");
  for (const column of columns) {
    if (column.shape[0] !== rows) {
      throw new DataError(`${column.name} has ${column.shape[0]} rows, but ${first.name} has ${rows}`);
    }
  }
  if (rows === 0) throw new DataError(`${first.name} has no rows`);
  return rows;
}

/** All columns of a set. */
export function allColumns(arrays: ArraySet): Column[] {
  return [...arrays.inputs, ...arrays.targets, ...arrays.sampleWeights.filter((column) => column !== null)];
}

/** Batches of the rows `start..end` of arrays; with a seed, where `start` must be 0, in another order in each pass. */
export function arraySource(
  arrays: ArraySet,
  [start, end]: readonly [number, number],
  batchSize: number,
  seed: number | undefined,
  weights: ReadonlyMap<number, number> | undefined,
): BatchSource {
  const length = end - start;
  const count = Math.ceil(length / batchSize);
  return {
    resumable: true,
    count,
    identity: { data: "arrays", rows: length, batchSize, seed: seed ?? null },
    async *read({ epoch: pass, step }) {
      const order = seed === undefined ? undefined : permutation(seed, pass, length);
      for (let index = step; index < count; index++) {
        const from = start + index * batchSize;
        const to = Math.min(from + batchSize, end);
        const cut = (column: Column) => rowsOf(column, from, to, order);
        yield weighted(
          {
            inputs: arrays.inputs.map(cut),
            targets: arrays.targets.map(cut),
            sampleWeights: arrays.sampleWeights.map((column) => (column === null ? null : cut(column))),
            rows: to - from,
            count,
          },
          weights,
        );
      }
    },
  };
}

function weighted(data: StepData, weights: ReadonlyMap<number, number> | undefined): StepData {
  if (weights === undefined) return data;
  return { ...data, sampleWeights: [weighClasses(data.targets[0]!, weights)] };
}

/** The batches of a dataset, each judged against the model when it is read. */
export async function datasetSource(
  dataset: Dataset<DataBatch>,
  inputs: readonly TensorSpecification[],
  outputs: readonly TensorSpecification[],
  weights: ReadonlyMap<number, number> | undefined,
): Promise<BatchSource> {
  const count = await dataset.count();
  if (count === 0) throw new DataError("the dataset is empty");
  return {
    resumable: dataset.resumable,
    count,
    identity: { data: "dataset", batches: count ?? null },
    async *read(position) {
      const batches = dataset.iterate(position);
      let index = position.step;
      for await (const batch of batches) {
        const data = weighted(await judged(batch, `batch ${index}: `, inputs, outputs), weights);
        const { count, position } = batches;
        const { cursor } = position;
        yield {
          ...data,
          ...(cursor === undefined ? {} : { next: cursor }),
          ...(count === undefined ? {} : { count }),
        };
        index += 1;
      }
    },
  };
}

/** A batch as the native step takes it. */
export async function judged(
  batch: DataBatch,
  where: string,
  inputs: readonly TensorSpecification[],
  outputs: readonly TensorSpecification[],
): Promise<StepData> {
  checkBatch(batch, where, inputs.length, outputs.length);
  const bound = new Map();
  const set = {
    inputs: await each(inputs, (input, index) => inputColumn(where, input, batch.inputs[index], bound)),
    targets: await each(outputs, (output, index) => targetColumn(where, output, batch.targets[index], bound)),
    sampleWeights: await each(outputs, async (output, index) => {
      const weights = batch.sampleWeights?.[index];
      return weights === null || weights === undefined ? null : weightColumn(where, output, weights, bound);
    }),
  };
  return wholeArrays(set, rowCount(allColumns(set)));
}

/** All rows of arrays as one batch. */
export function wholeArrays(arrays: ArraySet, rows: number): StepData {
  const whole = (column: Column) => rowsOf(column, 0, rows, undefined);
  return {
    inputs: arrays.inputs.map(whole),
    targets: arrays.targets.map(whole),
    sampleWeights: arrays.sampleWeights.map((column) => (column === null ? null : whole(column))),
    rows,
  };
}

async function each<T, U>(items: readonly T[], make: (item: T, index: number) => Promise<U>): Promise<U[]> {
  const results: U[] = [];
  for (const [index, item] of items.entries()) results.push(await make(item, index));
  return results;
}

function checkBatch(batch: unknown, where: string, inputs: number, outputs: number): void {
  const lists = typeof batch === "object" && batch !== null && !isNumberArray(batch) ? batch : {};
  const list = (name: string) => (Object.hasOwn(lists, name) ? (lists as Record<string, unknown>)[name] : undefined);
  for (const [name, expected] of [
    ["inputs", inputs],
    ["targets", outputs],
  ] as const) {
    const arrays = list(name);
    if (expected === 0 && name === "targets") continue;
    if (!Array.isArray(arrays) || arrays.length !== expected) {
      const got = Array.isArray(arrays) ? `${arrays.length}` : "none";
      throw new DataError(`${where}expected { inputs, targets } with ${expected} ${name}, got ${got}`);
    }
  }
}
