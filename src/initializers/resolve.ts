import type { Json } from "../graph/document.ts";
import { nameOption } from "../options.ts";
import { Initializer, provided } from "./initializer.ts";
import * as rules from "./rules.ts";

/** Names of initialisers with their default options; `uniform` and `normal` are short for the random ones. */
export type InitializerName =
  | "zeros"
  | "ones"
  | "constant"
  | "randomUniform"
  | "uniform"
  | "randomNormal"
  | "normal"
  | "truncatedNormal"
  | "glorotUniform"
  | "glorotNormal"
  | "heUniform"
  | "heNormal"
  | "lecunUniform"
  | "lecunNormal"
  | "varianceScaling"
  | "orthogonal"
  | "identity";

const factories: Readonly<Record<InitializerName, () => Initializer>> = {
  zeros: rules.zeros,
  ones: rules.ones,
  constant: rules.constant,
  randomUniform: rules.randomUniform,
  uniform: rules.randomUniform,
  randomNormal: rules.randomNormal,
  normal: rules.randomNormal,
  truncatedNormal: rules.truncatedNormal,
  glorotUniform: rules.glorotUniform,
  glorotNormal: rules.glorotNormal,
  heUniform: rules.heUniform,
  heNormal: rules.heNormal,
  lecunUniform: rules.lecunUniform,
  lecunNormal: rules.lecunNormal,
  varianceScaling: rules.varianceScaling,
  orthogonal: rules.orthogonal,
  identity: rules.identity,
};

const names = Object.keys(factories) as InitializerName[];

/** The initialiser that an option means. */
export function resolveInitializer(where: string, option: string, value: InitializerName | Initializer): Initializer {
  if (value instanceof Initializer) return value;
  return factories[nameOption(where, option, value, names)]();
}

/**
 * The initialiser of a document.
 *
 * @throws OptionError if it is unknown or a parameter is wrong.
 */
export function restoreInitializer(where: string, option: string, document: Json | undefined): Initializer {
  const fields = (typeof document === "object" && document !== null ? document : {}) as Readonly<Record<string, Json>>;
  if (fields.type === "provided") return provided;
  const { type, ...options } = fields;
  const factory = factories[nameOption(where, `${option}.type`, type, names)] as (options: object) => Initializer;
  const initializer = factory(options);
  // Rules without parameters do not look at them.
  for (const key of Object.keys(options)) nameOption(where, option, key, Object.keys(initializer.document));
  return initializer;
}
