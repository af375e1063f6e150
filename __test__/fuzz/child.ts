/**
 * Reads inputs of one target and prints a JSON object a thousand of them; for scripts/fuzz.mjs.
 *
 * Arguments: target, seed, number of the first input, how many, and a file that holds the number of the one that is being read.
 */
import { mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fuzz } from "./run.ts";
import { targets } from "./targets.ts";

const [name = "", seed, from, count, marker = ""] = process.argv.slice(2);
const make = targets[name];
if (make === undefined) throw new Error(`there is no target ${name}; there are ${Object.keys(targets).join(", ")}`);
const folder = mkdtempSync(join(tmpdir(), "sconce-fuzz-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const target = await make(folder);
const file = openSync(marker, "r+");
const number = Buffer.alloc(8);
const mark = (index: number) => {
  number.writeDoubleLE(index);
  writeSync(file, number, 0, 8, 0);
};
const end = Number(from) + Number(count);
for (let start = Number(from); start < end; start += 1000) {
  const size = Math.min(1000, end - start);
  process.stdout.write(`${JSON.stringify({ size, ...(await fuzz(target, Number(seed), start, size, mark)) })}\n`);
}
