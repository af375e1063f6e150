/** Checks of options at run time, for callers without types; each error names the place and the option. */
import { OptionError } from "./errors.ts";
import { suggestion } from "./suggestion.ts";

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/** Throws if `options` is no object or has a key that is not in `known`. */
export function checkKeys(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new OptionError(`${where}: expected an object with options, got ${shown(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      const near = suggestion(key, known);
      const rest = `${near === "" ? "; known" : `${near} Known`} are ${known.join(", ")}`;
      throw new OptionError(`${where}: unknown option ${JSON.stringify(key)}${rest}`);
    }
  }
}

/** An integer of at least `minimum`. */
export function integerOption(where: string, name: string, value: unknown, minimum: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < minimum) {
    throw new OptionError(`${where}: ${name} must be an integer of at least ${minimum}, got ${shown(value)}`);
  }
  return value;
}

/** A finite number within `minimum..=maximum`. */
export function numberOption(
  where: string,
  name: string,
  value: unknown,
  minimum = Number.NEGATIVE_INFINITY,
  maximum = Number.POSITIVE_INFINITY,
): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < minimum || value > maximum) {
    const range = maximum === Number.POSITIVE_INFINITY ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
    const limits = minimum === Number.NEGATIVE_INFINITY ? "a finite number" : `a number ${range}`;
    throw new OptionError(`${where}: ${name} must be ${limits}, got ${shown(value)}`);
  }
  return value;
}

/** `true` or `false`. */
export function booleanOption(where: string, name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new OptionError(`${where}: ${name} must be true or false, got ${shown(value)}`);
  return value;
}

/** One of some names. */
export function nameOption<Name extends string | boolean>(
  where: string,
  name: string,
  value: unknown,
  known: readonly Name[],
): Name {
  const found = known.find((candidate) => candidate === value);
  if (found === undefined) {
    throw new OptionError(`${where}: ${name} must be one of ${known.join(", ")}, got ${shown(value)}`);
  }
  return found;
}

/** A signal that can abort, or none. */
export function checkSignal(where: string, signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new OptionError(`${where}: signal must be an AbortSignal`);
  }
}
