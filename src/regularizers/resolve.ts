import type { Json } from "../graph/document.ts";
import { nameOption } from "../options.ts";
import {
  l1,
  l1L2,
  l2,
  orthogonalRegularizer,
  Regularizer,
  type RegularizerName,
  type RegularizerOption,
} from "./regularizer.ts";

const factories: Readonly<Record<RegularizerName, () => Regularizer>> = { l1, l2, l1L2, orthogonalRegularizer };
const names = Object.keys(factories) as RegularizerName[];

/** The regulariser that an option means, or none. */
export function resolveRegularizer(
  where: string,
  option: string,
  value: RegularizerOption | undefined,
): Regularizer | undefined {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Regularizer) return value;
  return factories[nameOption(where, option, value, names)]();
}

const restored: Readonly<Record<string, (options: object) => Regularizer>> = { l1l2: l1L2, orthogonalRegularizer };

/**
 * The regulariser of a document.
 *
 * @throws OptionError if it is unknown or a parameter is wrong.
 */
export function restoreRegularizer(where: string, option: string, document: Json | undefined): Regularizer {
  const { type, ...options } = (typeof document === "object" && document !== null ? document : {}) as Readonly<
    Record<string, Json>
  >;
  return restored[nameOption(where, `${option}.type`, type, Object.keys(restored))]!(options);
}
