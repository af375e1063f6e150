import { DataError } from "../../errors.ts";
import type { TextPair } from "../parallel-text.ts";
import type { PairReader, RawPair } from "./pair-reader.ts";

/** Pairs as objects or two-element arrays, at once or as they arrive. */
export type PairIterable =
  | AsyncIterable<TextPair | readonly [source: string, target: string]>
  | Iterable<TextPair | readonly [source: string, target: string]>;

/** Pairs from the program itself, each given on as soon as it comes. */
export function iterableReader(pairs: PairIterable): PairReader {
  const place = (number: number) => `pair ${number}`;
  return {
    name: "the iterable",
    place,
    async *blocks(signal) {
      let number = 0;
      signal?.throwIfAborted();
      for await (const pair of pairs) {
        signal?.throwIfAborted();
        yield { pairs: [checked(pair, number, place(number))], place: undefined };
        number += 1;
      }
    },
  };
}

function checked(pair: unknown, number: number, place: string): RawPair {
  if (typeof pair !== "object" || pair === null) {
    throw new DataError(`${place}: expected an object { source, target } or an array of two strings`);
  }
  const sides: { source?: unknown; target?: unknown } = Array.isArray(pair)
    ? { source: pair[0], target: pair[1] }
    : pair;
  const { source, target } = sides;
  if (typeof source === "string" && typeof target === "string") return { source, target, number };
  throw new DataError(`${place}: the ${typeof source === "string" ? "target" : "source"} is not a string`);
}
