import * as v from "valibot";
import type { Arguments } from "../arguments.ts";
import { checkAgainst } from "./check.ts";
import { givenFlags, pairFlags } from "./flags.ts";
import { type PairOptions, pairEntries } from "./schema.ts";

/**
 * What flags say about files of pairs.
 *
 * @throws OptionError naming the flag.
 */
export function pairOptions(args: Arguments): PairOptions {
  const given = givenFlags(args, pairFlags);
  const fields = Object.fromEntries(given.map(({ path, value }) => [path, value]));
  const flagOf = (path: string) => given.find((flag) => path === flag.path || path.startsWith(`${flag.path}.`))?.name;
  return checkAgainst(v.strictObject(pairEntries), fields, (path) => `--${flagOf(path) ?? path}`);
}
