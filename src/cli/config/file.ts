import { readFile, stat } from "node:fs/promises";
import { parseDocument } from "yaml";
import { FormatError, fromFile, OptionError } from "../../errors.ts";
import { type Fields, isFields } from "./places.ts";

/** A configuration is written by hand: what is longer is another file. */
const largest = 2 ** 20;

/**
 * Reads a configuration.
 *
 * @throws FileError if it cannot be read; FormatError if it is far too long; OptionError if it is no object in YAML or JSON.
 */
export async function readConfigFile(path: string): Promise<Fields> {
  const text = await stat(path)
    .then(({ size }) => {
      if (size > largest) throw new FormatError(`${path} has ${size} bytes, a configuration has at most ${largest}`);
      return readFile(path, "utf8");
    })
    .catch((error: unknown) => {
      throw fromFile("cannot read", path, error);
    });
  return parseConfig(path, text);
}

/**
 * What a configuration says, not checked yet. JSON where the name says so, else YAML 1.2, which may hold no more than JSON does.
 *
 * @throws OptionError naming the line if it is neither.
 */
export function parseConfig(path: string, text: string): Fields {
  const value = path.endsWith(".json") ? parseJson(path, text) : parseYaml(path, text);
  if (value === null || value === undefined) return {};
  if (isFields(value)) return value;
  throw new OptionError(`${path}: expected an object with options such as data, model and training`);
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OptionError(`${path} is no JSON (${(error as Error).message})`, { cause: error });
  }
}

function parseYaml(path: string, text: string): unknown {
  try {
    const document = parseDocument(text, { schema: "core", merge: false, prettyErrors: true, logLevel: "silent" });
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // The first line names line and column; below it the place is drawn.
    const reason = (error as Error).message.split("\n")[0]!.replace(/:$/, "");
    throw new OptionError(`${path} is no YAML (${reason})`, { cause: error });
  }
}

/** A single value as it stands in YAML, such as `12`, `true` or `[0, 1]`; what is no YAML is text. */
export function parseValue(text: string): unknown {
  try {
    return parseYaml("", text);
  } catch {
    return text;
  }
}
