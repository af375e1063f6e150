import { Dataset } from "../data/dataset.ts";
import { type DataBatch, type Example, stack } from "../data/example.ts";
import { DataError, OptionError } from "../errors.ts";
import { type ArrayInput, isArrayData, isNumberArray } from "./array-input.ts";
import { inputColumn, targetColumn, weightColumn } from "./column.ts";
import { type ArraySet, allColumns, type BatchSource, datasetSource, rowCount } from "./source.ts";
import type { TensorSpecification } from "./trainable.ts";

/** Arrays of a model: one alone, a list in the model's order, or by the names of its inputs or outputs. */
export type ModelData = ArrayInput | readonly ArrayInput[] | Readonly<Record<string, ArrayInput>>;

/** Weights of rows: one array for all outputs, or for each output its own, `null` for weights of 1. */
export type SampleWeights = ModelData | readonly (ArrayInput | null)[];

/**
 * Data that come in batches. A {@link Dataset} or a list of batches can be resumed; an iterable that can be read once only serves for
 * one epoch, a function gives a new one for each.
 */
export type BatchData =
  | Dataset<DataBatch>
  | Dataset<Example>
  | readonly DataBatch[]
  | Iterable<DataBatch>
  | AsyncIterable<DataBatch>
  | ((epoch: number) => Iterable<DataBatch> | AsyncIterable<DataBatch>);

/** Data of `fit`, `evaluate` or `predict`. */
export type TrainingData = ModelData | BatchData;

/** Whether data come in batches already. */
export function isBatchData(value: unknown): value is BatchData {
  if (value instanceof Dataset || typeof value === "function") return true;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value)) {
    const first: unknown = value[0];
    return typeof first === "object" && first !== null && "inputs" in first;
  }
  return Symbol.asyncIterator in value || Symbol.iterator in value;
}

/** Data in batches as a dataset; with `batchSize` their items are examples that are joined. */
export function asDataset(data: BatchData, batchSize: number | undefined): Dataset<DataBatch> {
  const dataset = data instanceof Dataset ? (data as Dataset<DataBatch>) : wrapped(data);
  return batchSize === undefined ? dataset : dataset.batch(batchSize, (items) => stack(items));
}

function wrapped(data: Exclude<BatchData, Dataset<DataBatch> | Dataset<Example>>): Dataset<DataBatch> {
  if (Array.isArray(data)) return Dataset.from<DataBatch>(data);
  if (typeof data === "function") return Dataset.fromIterable<DataBatch>(data);
  const iterable = data as Iterable<DataBatch> | AsyncIterable<DataBatch>;
  // An iterator can be read once, other iterables give a new iterator each time.
  return "next" in iterable ? Dataset.fromIterable(iterable) : Dataset.fromIterable(() => iterable);
}

/** Arrays judged against the inputs and outputs of a model. */
export async function bindArrays(
  inputs: readonly TensorSpecification[],
  outputs: readonly TensorSpecification[],
  x: unknown,
  y: unknown,
  sampleWeight?: unknown,
): Promise<ArraySet> {
  const bound = new Map();
  const set = { inputs: [], targets: [], sampleWeights: [] } as {
    -readonly [Key in keyof ArraySet]: ArraySet[Key][number][];
  };
  for (const [index, value] of distribute("input", inputs, x, 0).entries()) {
    set.inputs.push(await inputColumn("", inputs[index]!, value, bound));
  }
  if (outputs.length > 0) {
    if (y === undefined || y === null) throw new DataError("targets are missing: pass them as the second argument");
    for (const [index, value] of distribute("target", outputs, y, 1).entries()) {
      set.targets.push(await targetColumn("", outputs[index]!, value, bound));
    }
    const weights = sampleWeight === undefined ? outputs.map(() => null) : weightsOf(outputs, sampleWeight);
    for (const [index, value] of weights.entries()) {
      set.sampleWeights.push(value === null ? null : await weightColumn("", outputs[index]!, value, bound));
    }
  }
  rowCount(allColumns(set));
  return set;
}

function weightsOf(outputs: readonly TensorSpecification[], value: unknown): unknown[] {
  if (isRecord(value)) return outputs.map(({ name }) => value[name] ?? null);
  // One array of weights is for all outputs, as in Keras.
  const single = isArrayData(value) || isNumberArray(value) || (Array.isArray(value) && typeof value[0] === "number");
  if (outputs.length > 1 && single) return outputs.map(() => value);
  if (Array.isArray(value) && value.includes(null)) return counted("sample weights", outputs, value, 1);
  return distribute("sample weights", outputs, value, 1);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value) &&
    !isArrayData(value)
  );
}

/** One array for each specification. `less`: by how many axes an array may have fewer than the specification. */
function distribute(
  what: string,
  specifications: readonly TensorSpecification[],
  value: unknown,
  less: number,
): unknown[] {
  if (isRecord(value)) return byName(what, specifications, value);
  const single = specifications.length === 1 ? specifications[0] : undefined;
  if (single !== undefined) {
    if (!Array.isArray(value) || !(isArrayData(value[0]) || depth(value) > single.shape.length)) return [value];
    // With ids, a list of one nested array is as deep as probabilities are: only typed arrays can come in a list then.
    if (value.length === 1 || isArrayData(value[0])) return counted(what, specifications, value);
    return [value];
  }
  if (!Array.isArray(value)) {
    const list = specifications.map(({ name }) => JSON.stringify(name)).join(", ");
    throw new DataError(`expected a list of ${specifications.length} arrays, ${what} of ${list}; got a single array`);
  }
  return counted(what, specifications, value, less);
}

function counted(what: string, specifications: readonly TensorSpecification[], value: unknown[], less = 0): unknown[] {
  if (value.length !== specifications.length) {
    const hint = less > 0 || specifications.length === 1 ? "" : " (a list holds one array for each input)";
    throw new DataError(`${what}: expected ${specifications.length} arrays, got ${value.length}${hint}`);
  }
  return value;
}

function byName(
  what: string,
  specifications: readonly TensorSpecification[],
  value: Record<string, unknown>,
): unknown[] {
  const names = specifications.map(({ name }) => name);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new DataError(`${what}: there is none called ${JSON.stringify(unknown)}; known are ${names.join(", ")}`);
  }
  return names.map((name) => {
    if (!Object.hasOwn(value, name)) throw new DataError(`${what}: ${JSON.stringify(name)} is missing`);
    return value[name];
  });
}

function depth(value: unknown): number {
  let levels = 0;
  let level = value;
  while (Array.isArray(level)) {
    levels += 1;
    level = level[0];
  }
  if (isNumberArray(level)) return levels + 1;
  return isArrayData(level) ? levels + level.shape.length : levels;
}

/** What validates: a source, made of arrays with `batchSize` or of data in batches. */
export type ValidationData =
  | BatchData
  | readonly [x: ModelData, y: ModelData]
  | readonly [x: ModelData, y: ModelData, sampleWeight: ModelData]
  | { readonly x: ModelData; readonly y: ModelData; readonly sampleWeight?: ModelData };

/** The parts of validation data, if they are arrays. */
export function validationArrays(
  data: Exclude<ValidationData, BatchData>,
): [x: unknown, y: unknown, sampleWeight: unknown] {
  if (Array.isArray(data)) {
    if (data.length < 2 || data.length > 3) {
      throw new OptionError("fit: validationData must be [x, y] or [x, y, sampleWeight], or data in batches");
    }
    return [data[0], data[1], data[2]];
  }
  const record = data as { x: unknown; y: unknown; sampleWeight?: unknown };
  if (typeof record !== "object" || record === null || !("x" in record)) {
    throw new OptionError("fit: validationData must be [x, y], { x, y } or data in batches");
  }
  return [record.x, record.y, record.sampleWeight];
}

/** A dataset as a source for a model. */
export function batchSource(
  data: BatchData,
  batchSize: number | undefined,
  inputs: readonly TensorSpecification[],
  outputs: readonly TensorSpecification[],
  weights?: ReadonlyMap<number, number>,
): Promise<BatchSource> {
  return datasetSource(asDataset(data, batchSize), inputs, outputs, weights);
}
