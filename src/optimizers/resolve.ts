import { nameOption } from "../options.ts";
import { restoreSchedule } from "../schedules/restore.ts";
import * as factories from "./factories.ts";
import { Optimizer, type OptimizerName, type WeightDecayExclusions } from "./optimizer.ts";

const byName: Readonly<Record<OptimizerName, (options?: object) => Optimizer>> = factories;
const names = Object.keys(byName) as OptimizerName[];

/** The optimiser that an option means. */
export function resolveOptimizer(where: string, value: unknown): Optimizer {
  if (value instanceof Optimizer) return value;
  return byName[nameOption(where, "optimizer", value, names)]();
}

/**
 * The optimiser of a saved document.
 *
 * @throws OptionError if a field is unknown or out of range.
 */
export function restoreOptimizer(document: unknown): Optimizer {
  const { type, learningRate, excludeFromWeightDecay, ...options } = (
    typeof document === "object" && document !== null ? document : {}
  ) as Record<string, unknown>;
  const rate = typeof learningRate === "number" ? learningRate : restoreSchedule(learningRate);
  const optimizer = byName[nameOption("optimizer", "type", type, names)]({ ...options, learningRate: rate });
  if (excludeFromWeightDecay !== undefined) {
    optimizer.excludeFromWeightDecay(excludeFromWeightDecay as WeightDecayExclusions);
  }
  return optimizer;
}
