import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { DataType, Dimension } from "../native-interface.ts";
import { checkKeys, nameOption } from "../options.ts";
import { checkName, Layer } from "./layer.ts";

/** Options of {@link input}. */
export interface InputOptions {
  /** Sizes of the axes without the batch; `null` where the size is unknown and may differ from batch to batch. */
  shape: readonly (number | null)[];
  /** `"int32"` for ids; default `"float32"`. */
  dtype?: DataType;
  /** Unique name within a model, without `/`; default `"input"` with a number. */
  name?: string;
}

/** What makes the tensor of an input. */
export class InputLayer extends Layer {
  call(): SymbolicTensor {
    throw new OptionError(`layer ${this.name}: an input is not called`);
  }
}

/** An input of known symbols, the batch first. */
export function inputOf(shape: readonly Dimension[], dtype: DataType, name?: string): SymbolicTensor {
  const layer = new InputLayer({
    type: "input",
    common: name === undefined ? {} : { name },
    options: { shape, dtype },
  });
  return layer.apply([])[0]!;
}

let unknowns = 0;

/** The name of a size that is not known and is no other's. */
export function unknownSize(): string {
  return `unknown${++unknowns}`;
}

/**
 * Data that a model is given.
 *
 * @param options - Shape and type.
 * @returns A symbolic tensor `[batch, ...shape]`.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.Input`
 */
export function input(options: InputOptions): SymbolicTensor {
  checkKeys("input", options, ["shape", "dtype", "name"]);
  const { shape } = options;
  if (!Array.isArray(shape)) throw new OptionError("input: shape must be a list of sizes, with null for unknown ones");
  const name = options.name === undefined ? undefined : checkName("input", options.name);
  const dtype = nameOption("input", "dtype", options.dtype ?? "float32", ["float32", "int32"]);
  const dimensions = shape.map((size: unknown, axis): Dimension => {
    if (size === null) return unknownSize();
    if (typeof size === "number" && Number.isSafeInteger(size) && size >= 1) return size;
    throw new OptionError(`input: shape[${axis}] must be an integer of at least 1 or null, got ${String(size)}`);
  });
  return inputOf(["batch", ...dimensions], dtype, name);
}
