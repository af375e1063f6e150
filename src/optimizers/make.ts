import { OptionError } from "../errors.ts";
import { booleanOption, checkKeys, integerOption, numberOption } from "../options.ts";
import { Optimizer, type OptimizerDocument, type OptimizerName } from "./optimizer.ts";
import type { LearningRateOption } from "./options.ts";

const clippings = ["clipnorm", "clipvalue", "globalClipnorm"] as const;
const averages = ["useEma", "emaMomentum", "emaOverwriteFrequency"] as const;
const common = ["learningRate", "weightDecay", ...clippings, ...averages, "gradientAccumulationSteps", "sparse"];

/** Largest value of each numeric option that has one; the smallest is 0. */
const largest: Readonly<Record<string, number>> = { momentum: 1, rho: 1, beta1: 1, beta2: 1 };
/** Options that are at most 0. */
const powers: readonly string[] = ["beta2Decay", "learningRatePower"];

type Given = Readonly<Record<string, unknown>>;
type Fields = Record<string, number | boolean | string>;

function checked(type: string, name: string, value: unknown, standard: number | boolean): number | boolean {
  if (typeof standard === "boolean") return booleanOption(type, name, value);
  if (!powers.includes(name)) return numberOption(type, name, value, 0, largest[name]);
  const power = numberOption(type, name, value);
  if (power > 0) throw new OptionError(`${type}: ${name} must be a number of at most 0, got ${power}`);
  return power;
}

function addClipping(type: string, given: Given, document: Fields): void {
  const set = clippings.filter((name) => given[name] !== undefined);
  if (set.length > 1)
    throw new OptionError(`${type}: only one of ${clippings.join(", ")} may be set, got ${set.join(", ")}`);
  for (const name of set) {
    document[name] = numberOption(type, name, given[name], 0);
    if (document[name] === 0) throw new OptionError(`${type}: ${name} must be above 0, got 0`);
  }
}

function addAverages(type: string, given: Given, document: Fields): void {
  const uses = booleanOption(type, "useEma", given.useEma ?? false);
  const momentum = numberOption(type, "emaMomentum", given.emaMomentum ?? 0.99, 0, 1);
  const frequency = given.emaOverwriteFrequency ?? null;
  if (frequency !== null) integerOption(type, "emaOverwriteFrequency", frequency, 1);
  if (!uses) return;
  document.useEma = true;
  document.emaMomentum = momentum;
  if (frequency !== null) document.emaOverwriteFrequency = frequency as number;
}

/**
 * An optimiser of checked options.
 *
 * @param type - Its name, for messages too.
 * @param options - As the user gave them.
 * @param rate - The learning rate if none is given.
 * @param defaults - Its own options; they say which there are and of what type.
 * @throws OptionError if an option is unknown or out of range.
 */
export function make(
  type: OptimizerName,
  options: object,
  rate: number,
  defaults: Readonly<Record<string, number | boolean>>,
): Optimizer {
  checkKeys(type, options, [...common, ...Object.keys(defaults)]);
  const given = options as Given;
  const document: Fields = { type };
  for (const [name, standard] of Object.entries({ weightDecay: 0, sparse: false, ...defaults })) {
    document[name] = checked(type, name, given[name] ?? standard, standard);
  }
  addClipping(type, given, document);
  addAverages(type, given, document);
  const steps = given.gradientAccumulationSteps ?? null;
  if (steps !== null) document.gradientAccumulationSteps = integerOption(type, "gradientAccumulationSteps", steps, 2);
  return new Optimizer(
    document as unknown as OptimizerDocument,
    (given.learningRate as LearningRateOption | undefined) ?? rate,
  );
}

/** Refuses betas of 1: what is divided by `1 - beta^t` would be divided by 0. */
export function belowOne(type: string, options: object): void {
  for (const name of ["beta1", "beta2"]) {
    if ((options as Given)[name] === 1) throw new OptionError(`${type}: ${name} must be below 1, got 1`);
  }
}
