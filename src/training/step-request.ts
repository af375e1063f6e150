import type { Batch, StepRequest } from "../native-interface.ts";
import { takesTarget } from "./names.ts";
import type { StepData } from "./source.ts";
import type { Trainable } from "./trainable.ts";

/** A training step that updates the weights at once. */
export function updateRequest(model: Trainable, data: StepData): StepRequest {
  return stepRequest(model, data, model.optimizer.at(model.trainer().iterations()), true, 1);
}

/** A step that changes nothing. */
export function testRequest(model: Trainable, data: StepData): StepRequest {
  return stepRequest(model, data, 0, false, 1);
}

/** Stands for the target of an output that takes none. */
const none: Batch = { data: new Int32Array(0), shape: [0] };

/** A step as the native trainer takes it: with a target for each output, also where it is not looked at. */
export function stepRequest(
  model: Trainable,
  data: StepData,
  learningRate: number,
  update: boolean,
  gradientScale: number,
): StepRequest {
  let next = 0;
  const places = model.trainedOutputs.map((output) => (takesTarget(output) ? next++ : undefined));
  return {
    inputs: data.inputs,
    targets: places.map((place) => (place === undefined ? none : data.targets[place]!)),
    sampleWeights: places.map((place) => (place === undefined ? null : data.sampleWeights[place]!)),
    learningRate,
    update,
    gradientScale,
    bfloat16: model.mixedPrecision === "bfloat16",
  };
}
