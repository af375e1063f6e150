import type { StepRequest } from "../native-interface.ts";
import type { StepData } from "./source.ts";
import type { Trainable } from "./trainable.ts";

/** A training step that updates the weights at once. */
export function updateRequest(model: Trainable, data: StepData): StepRequest {
  return stepRequest(data, model.optimizer.at(model.trainer().iterations()), true, 1);
}

/** A step that changes nothing. */
export function testRequest(data: StepData): StepRequest {
  return stepRequest(data, 0, false, 1);
}

/** A step as the native trainer takes it. */
export function stepRequest(data: StepData, learningRate: number, update: boolean, gradientScale: number): StepRequest {
  const { inputs, targets, sampleWeights } = data;
  return { inputs, targets, sampleWeights, learningRate, update, gradientScale };
}
