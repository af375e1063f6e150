import { DataError } from "../../errors.ts";
import { checkLinePlace, readLineBlocks } from "./lines.ts";
import type { PairReader } from "./pair-reader.ts";

/** Pairs from JSON Lines: an object on each line. */
export function jsonLinesReader(path: string, keys: readonly [source: string, target: string]): PairReader {
  const place = (number: number) => `${path} line ${number}`;
  return {
    name: path,
    place,
    async *blocks(signal, from) {
      const start = from === undefined ? undefined : checkLinePlace(from);
      for await (const { lines, place: at } of readLineBlocks(path, signal, false, start)) {
        const pairs = lines.map(({ text, number }) => {
          if (text.trim() === "") return { source: "", target: "", number };
          const value = parse(text, place(number));
          const side = (key: string) => textAt(value, key, place(number));
          return { source: side(keys[0]), target: side(keys[1]), number };
        });
        yield { pairs, place: at };
      }
    },
  };
}

function parse(text: string, place: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(`${place}: not valid JSON (${(error as Error).message}); expected an object on each line`, {
      cause: error,
    });
  }
  if (typeof value === "object" && value !== null) return value;
  throw new DataError(`${place}: expected a JSON object on each line`);
}

/** The text under a key, which may itself contain dots, else under a path of keys joined by dots. */
function textAt(value: object, key: string, place: string): string {
  const whole = own(value, key);
  const found = whole === undefined ? key.split(".").reduce<unknown>(own, value) : whole;
  if (typeof found === "string") return found;
  if (found !== undefined) throw new DataError(`${place}: ${JSON.stringify(key)} is not a string`);
  const known = Object.keys(value).slice(0, 10).join(", ");
  throw new DataError(
    `${place}: no key ${JSON.stringify(key)}; the option keys names those of source and target (there are: ${known})`,
  );
}

function own(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
