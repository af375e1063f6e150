import { OptionError } from "../errors.ts";
import type { Batch } from "../native-interface.ts";
import { numberOption } from "../options.ts";

/** Factors of the loss by class id, such as `{ 3: 2 }`; classes that are not named have 1. */
export type ClassWeight = Readonly<Record<number, number>> | ReadonlyMap<number, number>;

/** Checks class weights. */
export function classWeights(where: string, weights: ClassWeight): Map<number, number> {
  if (typeof weights !== "object" || weights === null) {
    throw new OptionError(`${where}: classWeight must be an object or a map from class id to weight`);
  }
  const entries: Iterable<readonly [unknown, unknown]> = weights instanceof Map ? weights : Object.entries(weights);
  const result = new Map<number, number>();
  for (const [key, value] of entries) {
    const id = Number(key);
    if (!Number.isSafeInteger(id) || id < 0)
      throw new OptionError(`${where}: classWeight: ${String(key)} is no class id`);
    result.set(id, numberOption(where, `classWeight[${id}]`, value, 0));
  }
  return result;
}

/** To the nearest integer, halves to the even one, as Keras rounds. */
function rounded(value: number): number {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

/** The weight of each position of a target: of its id, of a single number rounded, or of the largest of its elements. */
export function weighClasses(target: Batch, weights: ReadonlyMap<number, number>): Batch {
  const { data, shape } = target;
  if (data instanceof Int32Array) {
    return { data: Float32Array.from(data, (id) => weights.get(id) ?? 1), shape };
  }
  const classes = shape.at(-1)!;
  if (classes === 1) {
    return { data: Float32Array.from(data, (value) => weights.get(rounded(value)) ?? 1), shape: shape.slice(0, -1) };
  }
  const result = new Float32Array(classes === 0 ? 0 : data.length / classes);
  for (let position = 0; position < result.length; position++) {
    let best = 0;
    for (let id = 1; id < classes; id++) {
      if (data[position * classes + id]! > data[position * classes + best]!) best = id;
    }
    result[position] = weights.get(best) ?? 1;
  }
  return { data: result, shape: shape.slice(0, -1) };
}
