import { DataError } from "../errors.ts";

/** A typed array with its shape. */
export interface ArrayData {
  /** The values, the last axis fastest. */
  readonly data: Float32Array | Int32Array;
  /** Sizes of the axes. */
  readonly shape: readonly number[];
}

/** A row of each input and of each target, without the batch axis. */
export interface Example {
  inputs: ArrayData[];
  targets: ArrayData[];
}

/** What one step takes: arrays with the batch as first axis. */
export interface DataBatch {
  /** One for each input of the model, `[batch, ...]`. */
  inputs: ArrayData[];
  /** One for each output, `[batch, ...]`. */
  targets: ArrayData[];
  /** Weights of rows `[batch]` or positions `[batch, time]`, or `null`, for each output; default none. */
  sampleWeights?: (ArrayData | null)[];
}

/**
 * The rows of arrays, by index.
 *
 * @internal
 */
export function examplesOf(
  inputs: readonly ArrayData[],
  targets: readonly ArrayData[],
): { length: number; at(index: number): Example } {
  const arrays = [...inputs, ...targets];
  const length = arrays[0]?.shape[0];
  if (inputs.length === 0 || length === undefined) throw new DataError("expected at least one array with rows");
  for (const [position, { data, shape }] of arrays.entries()) {
    const name = position < inputs.length ? `input ${position}` : `target ${position - inputs.length}`;
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    if (data.length !== size)
      throw new DataError(`${name}: shape [${shape.join(", ")}] needs ${size} values, got ${data.length}`);
    if (shape[0] !== length) throw new DataError(`${name} has ${shape[0] ?? "no"} rows, input 0 has ${length}`);
  }
  const row = ({ data, shape }: ArrayData, index: number): ArrayData => {
    const size = data.length / length;
    return { data: data.subarray(index * size, (index + 1) * size), shape: shape.slice(1) };
  };
  return {
    length,
    at: (index) => ({
      inputs: inputs.map((array) => row(array, index)),
      targets: targets.map((array) => row(array, index)),
    }),
  };
}

/**
 * Joins examples to a batch.
 *
 * @param examples - Rows of equal shape.
 * @returns Arrays with the batch as first axis.
 * @throws DataError if shapes differ: pad first.
 */
export function stack(examples: readonly Example[]): DataBatch {
  const first = examples[0];
  if (first === undefined) throw new DataError("no examples to stack");
  return {
    inputs: first.inputs.map((_, position) => join(examples.map((example) => example.inputs[position]!))),
    targets: first.targets.map((_, position) => join(examples.map((example) => example.targets[position]!))),
  };
}

function join(rows: readonly ArrayData[]): ArrayData {
  const { data: firstData, shape } = rows[0]!;
  const size = firstData.length;
  const data =
    firstData instanceof Int32Array ? new Int32Array(rows.length * size) : new Float32Array(rows.length * size);
  for (const [index, row] of rows.entries()) {
    if (row.shape.join() !== shape.join()) {
      throw new DataError(
        `row ${index} has shape [${row.shape.join(", ")}], row 0 [${shape.join(", ")}]: pad them first`,
      );
    }
    data.set(row.data, index * size);
  }
  return { data, shape: [rows.length, ...shape] };
}

/** Options of {@link padSequences}. */
export interface PadOptions {
  /** Length to pad to, at least that of the longest sequence; default that length. */
  length?: number;
  /** The length is rounded up to a multiple of this, so that fewer different shapes occur; default 1. */
  multiple?: number;
  /** What padding positions hold, default 0. */
  value?: number;
}

/**
 * Sequences of ids as the rows of one array, padded at their ends.
 *
 * @param sequences - Ids.
 * @param options - Length and value of the padding.
 * @returns Ids `[sequences, length]`.
 * @throws DataError if a sequence is longer than `length`.
 */
export function padSequences(
  sequences: readonly ArrayLike<number>[],
  options: PadOptions = {},
): { data: Int32Array; shape: number[] } {
  const longest = sequences.reduce((length, sequence) => Math.max(length, sequence.length), 0);
  const multiple = options.multiple ?? 1;
  const length = options.length ?? Math.ceil(longest / multiple) * multiple;
  if (longest > length) throw new DataError(`a sequence of ${longest} ids is longer than ${length}`);
  const data = new Int32Array(sequences.length * length).fill(options.value ?? 0);
  for (const [index, sequence] of sequences.entries()) data.set(sequence, index * length);
  return { data, shape: [sequences.length, length] };
}
