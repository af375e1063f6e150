import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fromFile, OptionError } from "../errors.ts";
import { checkKeys, integerOption, nameOption, numberOption } from "../options.ts";
import { type Arguments, textFlag } from "./arguments.ts";
import { UsageError } from "./command.ts";
import { formats, twoNames } from "./pairs.ts";

/** How a kind of option is read from a flag and checked. */
interface Kind<T> {
  readonly parse: (text: string) => unknown;
  readonly check: (name: string, value: unknown) => T;
}

const where = "train";

const text: Kind<string> = {
  parse: (value) => value,
  check: (name, value) => {
    if (typeof value === "string" && value !== "") return value;
    throw new OptionError(`${where}: ${name} must be a text that is not empty`);
  },
};
const parseNumber = (value: string): unknown =>
  value.trim() === "" || Number.isNaN(Number(value)) ? value : Number(value);
const integer = (minimum: number): Kind<number> => ({
  parse: parseNumber,
  check: (name, value) => integerOption(where, name, value, minimum),
});
const number = (minimum: number, maximum: number): Kind<number> => ({
  parse: parseNumber,
  check: (name, value) => numberOption(where, name, value, minimum, maximum),
});
const oneOf = <Name extends string>(...names: Name[]): Kind<Name> => ({
  parse: (value) => value,
  check: (name, value) => nameOption(where, name, value, names),
});
const couple: Kind<string> = {
  parse: (value) => value,
  check: (name, value) => twoNames(where, name, value).join(","),
};

/** The options of a training run: what may stand in a configuration file, and as a flag in kebab-case. */
const kinds = {
  train: text,
  trainTarget: text,
  valid: text,
  validTarget: text,
  format: oneOf(...formats),
  columns: couple,
  keys: couple,
  out: text,
  epochs: integer(1),
  batchSize: integer(1),
  units: integer(1),
  embedding: integer(1),
  dropout: number(0, 0.99),
  glove: text,
  optimizer: oneOf("rmsprop", "adam", "adamw", "sgd"),
  learningRate: number(0, 1000),
  sourceType: oneOf("word", "character", "bpe"),
  targetType: oneOf("word", "character", "bpe"),
  sourceVocabulary: integer(5),
  targetVocabulary: integer(5),
  minimumCount: integer(1),
  maxLength: integer(1),
  seed: integer(0),
  saveEvery: integer(1),
};

type Values = { [Name in keyof typeof kinds]: ReturnType<(typeof kinds)[Name]["check"]> };

const paths = ["train", "trainTarget", "valid", "validTarget", "out", "glove"] as const;

const defaults = {
  epochs: 10,
  batchSize: 64,
  units: 256,
  dropout: 0,
  optimizer: "adam",
  sourceType: "word",
  targetType: "word",
  minimumCount: 1,
  maxLength: 100,
  seed: 0,
  saveEvery: 500,
} as const satisfies Partial<Values>;

/** Checked options of a training run; paths are absolute. */
export type TrainOptions = Pick<Values, keyof typeof defaults | "train" | "out" | "embedding"> & Partial<Values>;

/** The flags, for `parseArgs`. */
export const trainFlags = Object.fromEntries(
  Object.keys(kinds).map((name) => [kebab(name), { type: "string" as const }]),
);

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * The options of a training run, from a configuration file and flags; flags win.
 *
 * @throws FileError if the file cannot be read; OptionError if it is no JSON object or an option is wrong; UsageError if
 *   one is missing.
 */
export async function trainOptions(args: Arguments): Promise<TrainOptions> {
  const file = args.positionals[0];
  const options: Record<string, unknown> = { ...defaults, ...(file === undefined ? {} : await readConfig(file)) };
  for (const [name, { parse }] of Object.entries(kinds)) {
    const flag = textFlag(args, kebab(name));
    if (flag !== undefined) options[name] = parse(flag);
  }
  for (const name of ["train", "out"]) {
    if (options[name] === undefined) throw new UsageError(`--${name} is missing`);
  }
  if (options.validTarget !== undefined && options.valid === undefined) throw new UsageError("--valid is missing");
  for (const [name, { check }] of Object.entries(kinds)) if (options[name] !== undefined) check(name, options[name]);
  options.embedding ??= gloveSize(options.glove) ?? 128;
  for (const name of paths) {
    const value = options[name];
    if (typeof value === "string" && !isGloveSize(name, value)) options[name] = resolve(value);
  }
  return options as unknown as TrainOptions;
}

/** `50d` names a size, not a file. */
function isGloveSize(name: string, value: string): boolean {
  return name === "glove" && /^\d+d$/.test(value);
}

/** The width of vectors as names of GloVe's files tell it. */
function gloveSize(glove: unknown): number | undefined {
  const size = typeof glove === "string" ? /(?:^|\.)(\d+)d(?:\.|$)/.exec(glove)?.[1] : undefined;
  return size === undefined ? undefined : Number(size);
}

/** Paths in a file are relative to its folder. */
async function readConfig(file: string): Promise<Record<string, unknown>> {
  const content = await readFile(file, "utf8").catch((error: unknown) => {
    throw fromFile("cannot read", file, error);
  });
  let config: unknown;
  try {
    config = JSON.parse(content);
  } catch (error) {
    throw new OptionError(`${file} is no JSON (${(error as Error).message})`, { cause: error });
  }
  checkKeys(file, config, Object.keys(kinds));
  const options = { ...(config as Record<string, unknown>) };
  for (const name of paths) {
    const value = options[name];
    if (typeof value === "string" && value !== "" && !isGloveSize(name, value)) {
      options[name] = resolve(dirname(file), value);
    }
  }
  return options;
}
