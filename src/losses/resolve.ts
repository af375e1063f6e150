import { OptionError } from "../errors.ts";
import type { GraphDocument } from "../graph/document.ts";
import type { Signature } from "../graph/tensor.ts";
import { checkKeys, nameOption } from "../options.ts";
import { customOf } from "./custom.ts";
import * as all from "./index.ts";
import { smoothingOption } from "./label-smoothing.ts";
import { Loss, type LossDocument, type LossType } from "./loss.ts";

/** Short names of losses, as in Keras. */
export const lossAliases = {
  bce: "binaryCrossentropy",
  kld: "klDivergence",
  mae: "meanAbsoluteError",
  mape: "meanAbsolutePercentageError",
  mse: "meanSquaredError",
  msle: "meanSquaredLogarithmicError",
} as const satisfies Readonly<Record<string, LossType>>;

/** Losses with their default options. */
export type LossName = LossType | keyof typeof lossAliases;

const { custom: _custom, ...factories } = all;
const types = Object.keys(factories) as LossType[];
const names: readonly LossName[] = [...types, ...(Object.keys(lossAliases) as (keyof typeof lossAliases)[])];

/** The loss that an option means; `output` is what it is of. */
export function resolveLoss(where: string, value: unknown, output?: Signature): Loss {
  if (value instanceof Loss) return value;
  const own = customOf(where, value);
  if (own !== undefined && output !== undefined) {
    return new Loss({ type: "graph", name: own.name, graph: own.graph(where, output) });
  }
  const name = nameOption(where, "loss", value, names);
  return factories[name in lossAliases ? lossAliases[name as keyof typeof lossAliases] : (name as LossType)]();
}

/** The fields of an own loss or metric of a document; the addon judges the graph. */
export function graphOf(where: string, options: Readonly<Record<string, unknown>>) {
  checkKeys(where, options, ["name", "graph"]);
  const { name, graph } = options;
  if (typeof name !== "string" || name.length === 0) throw new OptionError(`${where}: name must be a string`);
  if (typeof graph !== "object" || graph === null) throw new OptionError(`${where}: graph must be an object`);
  return { type: "graph", name, graph: graph as GraphDocument } as const;
}

/**
 * The loss of a saved document.
 *
 * @throws OptionError if a field is unknown or out of range.
 */
export function restoreLoss(document: unknown): Loss {
  checkKeys("loss", document, Object.keys(document ?? {}));
  const { type, ...options } = document as Partial<LossDocument>;
  if (type === "graph") return new Loss(graphOf("loss", options));
  const name = nameOption("loss", "type", type, types);
  if (name === "categoricalCrossentropy" || name === "sparseCategoricalCrossentropy") {
    const own = name === "categoricalCrossentropy" ? ["smoothingDefinition", "padding"] : [];
    checkKeys("loss", options, ["fromLogits", "labelSmoothing", "ignoreClass", ...own]);
    // The two have one form in documents: what one of them lacks as an option has its only value there.
    const { ignoreClass, labelSmoothing: _, smoothingDefinition: _definition, padding: _padding, ...common } = options;
    if (name === "categoricalCrossentropy") {
      return factories[name]({ ...common, labelSmoothing: smoothingOption(options) } as never);
    }
    return factories[name]({ ...common, ...(ignoreClass === null ? {} : { ignoreClass }) } as never);
  }
  if (name === "binaryCrossentropy" || name === "huber") return factories[name](options as never);
  checkKeys(name, options, []);
  return factories[name]();
}
