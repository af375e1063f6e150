import { OptionError } from "../../errors.ts";
import { type Optimizer, optimizers, type Schedule, schedules } from "../../index.ts";
import { suggestion } from "../../suggestion.ts";
import type { Origin } from "./check.ts";
import { type Fields, isFields } from "./places.ts";

/** An optimiser as a configuration names it: its type, its options, and the learning rate as a number or a schedule. */
export interface OptimizerConfig {
  readonly type: string;
  readonly [option: string]: unknown;
}

/**
 * The optimiser that a configuration means.
 *
 * @throws OptionError naming the place.
 */
export function optimizerOf({ type, learningRate, ...options }: OptimizerConfig, origin: Origin): Optimizer {
  const rate = isFields(learningRate) ? { learningRate: scheduleOf(learningRate, origin, ".learningRate") } : {};
  const constant = learningRate === undefined || isFields(learningRate) ? {} : { learningRate };
  return called(optimizers, "optimiser", type, { ...options, ...constant, ...rate }, origin, "");
}

function scheduleOf({ type, after, ...options }: Fields, origin: Origin, path: string): Schedule {
  const next = isFields(after)
    ? { after: scheduleOf(after, origin, `${path}.after`) }
    : after === undefined
      ? {}
      : { after };
  return called(schedules, "schedule", type, { ...options, ...next }, origin, path);
}

/** Calls one of the factory functions of the package, by its name. */
function called<Result>(
  factories: Readonly<Record<string, unknown>>,
  what: string,
  type: unknown,
  options: Fields,
  origin: Origin,
  path: string,
): Result {
  const names = Object.keys(factories).filter((name) => typeof factories[name] === "function");
  if (typeof type !== "string" || !names.includes(type)) {
    throw new OptionError(
      `${origin(`${path}.type`)}: expected the name of ${what === "optimiser" ? "an" : "a"} ${what}, one of ${names.join(", ")}, ` +
        `got ${JSON.stringify(type)}${suggestion(type, names)}`,
    );
  }
  try {
    return (factories[type] as (options: Fields) => Result)(options);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new OptionError(`${origin(path)}: ${error.message}`, { cause: error });
  }
}
