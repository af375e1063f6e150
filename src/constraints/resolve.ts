import type { Json } from "../graph/document.ts";
import { checkKeys, nameOption } from "../options.ts";
import {
  Constraint,
  type ConstraintName,
  type ConstraintOption,
  maxNorm,
  minMaxNorm,
  nonNeg,
  unitNorm,
} from "./constraint.ts";

const factories: Readonly<Record<ConstraintName, (options?: object) => Constraint>> = {
  maxNorm,
  nonNeg,
  unitNorm,
  minMaxNorm,
};
const names = Object.keys(factories) as ConstraintName[];

/** The constraint that an option means, or none. */
export function resolveConstraint(
  where: string,
  option: string,
  value: ConstraintOption | undefined,
): Constraint | undefined {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Constraint) return value;
  return factories[nameOption(where, option, value, names)]();
}

/**
 * The constraint of a document.
 *
 * @throws OptionError if it is unknown or a parameter is wrong.
 */
export function restoreConstraint(where: string, option: string, document: Json | undefined): Constraint {
  const { type, ...options } = (typeof document === "object" && document !== null ? document : {}) as Readonly<
    Record<string, Json>
  >;
  const constraint = factories[nameOption(where, `${option}.type`, type, names)](options);
  // One without parameters does not look at them.
  checkKeys(`${where}: ${option}`, { type, ...options }, Object.keys(constraint.document));
  return constraint;
}
