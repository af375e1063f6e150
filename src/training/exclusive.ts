import { StateError } from "../errors.ts";
import type { Trainable } from "./trainable.ts";

const training = new WeakMap<Trainable, string>();

/**
 * Marks a model as being trained.
 *
 * @returns Ends it.
 * @throws StateError if it is being trained already.
 */
export function beginTraining(model: Trainable, call: string): () => void {
  const other = training.get(model);
  if (other !== undefined) {
    throw new StateError(`${call}: model ${JSON.stringify(model.name)} is being trained by ${other} already`);
  }
  training.set(model, call);
  return () => training.delete(model);
}
