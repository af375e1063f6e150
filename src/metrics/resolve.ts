import type { Signature } from "../graph/tensor.ts";
import { customOf } from "../losses/custom.ts";
import { smoothingOption } from "../losses/label-smoothing.ts";
import { graphOf, lossAliases } from "../losses/resolve.ts";
import { checkKeys, nameOption } from "../options.ts";
import * as all from "./index.ts";
import { Metric } from "./metric.ts";

/** Short names of metrics, as in Keras; a metric has in histories the name that it was given. */
const aliases = { acc: "accuracy", ...lossAliases } as const;

const { custom: _custom, ...factories } = all;

type Factory = keyof typeof factories;

/** Metrics with their default options. */
export type MetricName = Factory | keyof typeof aliases;

const types = Object.keys(factories) as Factory[];
const names: readonly MetricName[] = [...types, ...(Object.keys(aliases) as (keyof typeof aliases)[])];

/** The metric that an option means; `output` is what it is of. */
export function resolveMetric(where: string, value: unknown, output?: Signature): Metric {
  if (value instanceof Metric) return value;
  const own = customOf(where, value);
  if (own !== undefined && output !== undefined) {
    return new Metric({ type: "graph", name: own.name, graph: own.graph(where, output) });
  }
  const name = nameOption(where, "metrics", value, names);
  if (!(name in aliases)) return factories[name as Factory]();
  return factories[aliases[name as keyof typeof aliases]]({ name });
}

/**
 * The metric of a saved document.
 *
 * @throws OptionError if a field is unknown or out of range.
 */
export function restoreMetric(document: unknown): Metric {
  checkKeys("metric", document, Object.keys(document ?? {}));
  const { type, ...options } = document as Record<string, unknown>;
  if (type === "graph") return new Metric(graphOf("metric", options));
  const name = nameOption("metric", "type", type, types);
  // Fields that cross-entropies have in documents but not as options.
  if (name === "categoricalCrossentropy" || name === "sparseCategoricalCrossentropy") delete options.ignoreClass;
  if (name === "sparseCategoricalCrossentropy") delete options.labelSmoothing;
  if (name === "categoricalCrossentropy" && options.labelSmoothing !== undefined) {
    options.labelSmoothing = smoothingOption(options);
    delete options.smoothingDefinition;
    delete options.padding;
  }
  return factories[name](options as never);
}
