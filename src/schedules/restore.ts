import { StateError } from "../errors.ts";
import { nameOption } from "../options.ts";
import { cosineDecayRestarts } from "./cosine-decay-restarts.ts";
import { inverseTimeDecay } from "./inverse-time-decay.ts";
import { linearWarmup } from "./linear-warmup.ts";
import { polynomialDecay } from "./polynomial-decay.ts";
import {
  cosineDecay,
  exponentialDecay,
  functionSchedule,
  inverseSqrt,
  piecewiseConstant,
  type Schedule,
} from "./schedule.ts";

/** Those that can follow a warm-up. */
const plain: Readonly<Record<string, (options: never) => Schedule>> = {
  inverseSqrt,
  exponentialDecay,
  inverseTimeDecay,
  cosineDecay,
  cosineDecayRestarts,
  piecewiseConstant,
  polynomialDecay,
};
const factories = { ...plain, linearWarmup };

/**
 * The schedule of a saved document.
 *
 * @throws OptionError if a field is unknown or out of range.
 */
export function restoreSchedule(document: unknown): Schedule {
  return restore(document, factories);
}

function restore(document: unknown, known: typeof plain): Schedule {
  const { type, ...options } = (typeof document === "object" && document !== null ? document : {}) as Record<
    string,
    unknown
  >;
  if (type === "function") {
    return functionSchedule(() => {
      throw new StateError(
        "learningRate: the schedule was a function, which is not saved: set optimizer.learningRate or compile again",
      );
    });
  }
  const name = nameOption("learningRate", "type", type, Object.keys(known));
  if (name === "linearWarmup" && options.after !== undefined) options.after = restore(options.after, plain);
  return known[name]!(options as never);
}
