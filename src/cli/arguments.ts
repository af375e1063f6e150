import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "./command.ts";

/** The kinds of flags. */
type Flags = NonNullable<ParseArgsConfig["options"]>;

/** Flags and other arguments; `help` if that was asked for. */
export interface Arguments {
  readonly help: boolean;
  readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly positionals: readonly string[];
}

/**
 * Reads flags; `--help` and `-h` are always known.
 *
 * @throws UsageError if one is unknown or lacks its value.
 */
export function readArguments(args: readonly string[], options: Flags): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...options, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
      strict: true,
    });
    return { help: values.help === true, values: values as Arguments["values"], positionals };
  } catch (error) {
    // The messages of Node explain in a second sentence what only concerns other programs.
    throw new UsageError((error as Error).message.split(/\. (?=To specify)/)[0]!);
  }
}

/** The text of a flag, if it was given. */
export function textFlag({ values }: Arguments, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** The texts of a flag that may be repeated. */
export function listFlag({ values }: Arguments, name: string): readonly string[] {
  const value = values[name];
  return Array.isArray(value) ? value : [];
}

/**
 * The number of a flag, if it was given.
 *
 * @throws UsageError if it is no number of at least `minimum`, or no integer where one is wanted.
 */
export function numberFlag(
  args: Arguments,
  name: string,
  minimum: number,
  kind: "integer" | "number" = "integer",
): number | undefined {
  const text = textFlag(args, name);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  const good = kind === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (good && value >= minimum) return value;
  throw new UsageError(
    `--${name} must be ${kind === "integer" ? "an integer" : "a number"} of at least ${minimum}, got ${text}`,
  );
}

/**
 * The name of a flag, if it was given.
 *
 * @throws UsageError if it is none of `names`.
 */
export function choiceFlag<Name extends string>(
  args: Arguments,
  name: string,
  names: readonly Name[],
): Name | undefined {
  const text = textFlag(args, name);
  const found = names.find((known) => known === text);
  if (text === undefined || found !== undefined) return found;
  throw new UsageError(`--${name} must be one of ${names.join(", ")}, got ${text}`);
}

/** Throws unless there are as many arguments beside flags as a command takes. */
export function checkPositionals({ positionals }: Arguments, names: readonly string[], required: number): void {
  if (positionals.length > names.length) throw new UsageError(`unexpected argument ${positionals[names.length]}`);
  if (positionals.length < required) throw new UsageError(`${names[positionals.length]} is missing`);
}
