import type { MetricReading, TrainedOutput } from "./trainable.ts";

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
  return output.lossWeight !== null || allMetrics(output).length > 0;
}

/** All metrics of an output, in the order of the native step's. */
export function allMetrics({ metrics, weightedMetrics = [] }: TrainedOutput): readonly MetricReading[] {
  return [...metrics, ...weightedMetrics];
}

/** The names of all values of a pass over data: `loss`, then losses and metrics of the outputs. */
export function valueNames(outputs: readonly TrainedOutput[]): string[] {
  const losses = outputs.length > 1 ? outputs.filter((output) => output.lossWeight !== null) : [];
  return ["loss", ...losses.map((output) => lossName(output)), ...metricNames(outputs).flat()];
}

/** Name of the loss of one of several outputs. */
export function lossName(output: TrainedOutput): string {
  return prefixed(camelCase(output.name), "loss");
}

/**
 * Names of the metrics of each output, in the order of {@link allMetrics}. Where a name is taken, a number is added, and before
 * that `weighted` to the name of a weighted metric, as in Keras.
 */
export function metricNames(outputs: readonly TrainedOutput[]): string[][] {
  const several = outputs.length > 1;
  const taken = new Map<string, number>();
  const names: string[][] = outputs.map(() => []);
  const unique = (name: string) => {
    const count = taken.get(name) ?? 0;
    taken.set(name, count + 1);
    return count === 0 ? name : `${name}${count}`;
  };
  const full = (output: TrainedOutput, name: string) => (several ? prefixed(camelCase(output.name), name) : name);
  for (const [index, output] of outputs.entries()) {
    for (const { name } of output.metrics) names[index]!.push(unique(full(output, name)));
  }
  for (const [index, output] of outputs.entries()) {
    for (const { name } of output.weightedMetrics ?? []) {
      const own = full(output, name);
      names[index]!.push(unique(taken.has(own) ? full(output, prefixed("weighted", name)) : own));
    }
  }
  return names;
}

function upper(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function lower(word: string): string {
  return word.charAt(0).toLowerCase() + word.slice(1);
}
