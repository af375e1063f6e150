import { NdArray } from "../data/ndarray.ts";
import { DataError, ShapeError } from "../errors.ts";
import type { ModelHandle } from "../native.ts";

/** An array of weights as callers give them. */
export interface WeightArray {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A weight as the addon describes it. */
export interface DescribedWeight {
  readonly layer: string;
  readonly name: string;
  readonly shape: readonly number[];
  readonly trainable: boolean;
  readonly built: boolean;
}

/** The weights of a model, in Keras' order. */
export function describedWeights(handle: ModelHandle): readonly DescribedWeight[] {
  return (JSON.parse(handle.describe()) as { weights: DescribedWeight[] }).weights;
}

/** Copies of all weights. */
export async function readWeights(handle: ModelHandle): Promise<NdArray<Float32Array>[]> {
  const described = describedWeights(handle);
  const values = await handle.getWeights();
  return values.map((data, index) => new NdArray(data, described[index]!.shape));
}

/**
 * Sets all weights.
 *
 * @throws ShapeError if there are too many or few, or one has another shape; DataError if it is no list, or one is no
 * Float32Array with a shape.
 */
export async function writeWeights(what: string, handle: ModelHandle, weights: readonly WeightArray[]): Promise<void> {
  const described = describedWeights(handle);
  if (!Array.isArray(weights)) throw new DataError(`${what}: weights must come in a list, as getWeights gives them`);
  if (weights.length !== described.length) {
    throw new ShapeError(`${what}: expected ${described.length} arrays of weights, got ${weights.length}`);
  }
  for (const [index, { layer, name, shape }] of described.entries()) {
    const given: Partial<WeightArray> | null | undefined = weights[index];
    if (!(given?.data instanceof Float32Array && Array.isArray(given.shape))) {
      throw new DataError(`${what}: weights ${index} (${layer}/${name}) must be a Float32Array with a shape`);
    }
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    if (given.shape.join() !== shape.join() || given.data.length !== size) {
      throw new ShapeError(
        `${what}: weights ${index} (${layer}/${name}): expected shape [${shape.join(", ")}], ` +
          `got [${given.shape.join(", ")}] with ${given.data.length} values`,
      );
    }
  }
  await handle.setWeights(weights.map(({ data }) => data));
}
