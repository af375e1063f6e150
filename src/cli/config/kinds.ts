import * as v from "valibot";

/** Kinds of values of a configuration; each message says what was expected. */

/** Text that is not empty. */
export const text = (what = "a text that is not empty") =>
  v.custom<string>((value) => typeof value === "string" && value !== "", what);

/** A whole number from `minimum`. */
export const integer = (minimum: number) =>
  v.custom<number>(
    (value) => Number.isSafeInteger(value) && (value as number) >= minimum,
    `an integer of at least ${minimum}`,
  );

/** A finite number within a range. */
export const number = (minimum: number, maximum = Number.POSITIVE_INFINITY) =>
  v.custom<number>(
    (value) => typeof value === "number" && Number.isFinite(value) && value >= minimum && value <= maximum,
    maximum === Number.POSITIVE_INFINITY ? `a number of at least ${minimum}` : `a number from ${minimum} to ${maximum}`,
  );

/** A share of something that is never all of it. */
export const rate = () =>
  v.custom<number>((value) => typeof value === "number" && value >= 0 && value < 1, "a number from 0 to below 1");

/** `true` or `false`. */
export const flag = () => v.boolean("true or false");

/** One of some names. */
export const oneOf = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  v.picklist(names, `one of ${names.join(", ")}`);

/** Two entries, for source and target. */
export const couple = <Entry extends string | number>(what: string, fits: (value: unknown) => boolean) =>
  v.custom<[source: Entry, target: Entry]>(
    (value) => Array.isArray(value) && value.length === 2 && value.every(fits),
    `a list of two ${what}, for source and target`,
  );

/** Whether something is text that is not empty. */
export const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
