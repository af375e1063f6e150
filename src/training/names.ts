import type { TrainedOutput } from "./trainable.ts";

/** `dense_1`, `Dense 1` and `dense-1` as part of a camelCase name: `dense1`. */
export function camelCase(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "");
  return words.map((word, index) => (index === 0 ? lower(word) : upper(word))).join("");
}

/** `loss` with the prefix `val`: `valLoss`. */
export function prefixed(prefix: string, name: string): string {
  return prefix === "" ? name : `${prefix}${upper(name)}`;
}

/** The name of a value as users may write it, also as in Keras: `val_loss` is `valLoss`. */
export function monitorName(name: string): string {
  return name.includes("_") ? camelCase(name) : name;
}

/** Whether an output has a loss or metrics, and so takes targets. */
export function takesTarget(output: TrainedOutput): boolean {
  return output.lossWeight !== null || output.metrics.length > 0;
}

/** The names of all values of a pass over data: `loss`, then losses and metrics of the outputs. */
export function valueNames(outputs: readonly TrainedOutput[]): string[] {
  const several = outputs.length > 1;
  const losses = several ? outputs.filter((output) => output.lossWeight !== null) : [];
  return [
    "loss",
    ...losses.map((output) => lossName(output)),
    ...outputs.flatMap((output) => output.metrics.map((metric) => metricName(output, metric.name, several))),
  ];
}

/** Name of the loss of one of several outputs. */
export function lossName(output: TrainedOutput): string {
  return prefixed(camelCase(output.name), "loss");
}

/** Name of a metric of an output. */
export function metricName(output: TrainedOutput, metric: string, several: boolean): string {
  return several ? prefixed(camelCase(output.name), metric) : metric;
}

function upper(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function lower(word: string): string {
  return word.charAt(0).toLowerCase() + word.slice(1);
}
