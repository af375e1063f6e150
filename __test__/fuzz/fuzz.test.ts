import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FormatError, InternalError } from "../../src/errors.ts";
import { mutateBytes, mutateDocument } from "./mutate.ts";
import { Random } from "./random.ts";
import { fuzz } from "./run.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-fuzz-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

for (const [name, make] of Object.entries(targets)) {
  test(`mutated inputs give values or typed errors: ${name}`, async (t) => {
    const target = await make(folder);
    const { findings, accepted } = await fuzz(target, 7, 0, 300);
    t.deepEqual(findings, []);
    t.true(accepted < 300);
  });
}

/** Inputs that once ended the process: seeds and numbers by target. */
const regressions: Record<string, readonly (readonly [seed: number, number: number])[]> = {
  // Runs of equal values that are longer than the page.
  parquet: [
    [5, 140],
    [5, 679],
  ],
};

for (const [name, found] of Object.entries(regressions)) {
  test(`inputs that once ended the process give typed errors: ${name}`, async (t) => {
    const target = await targets[name]!(folder);
    for (const [seed, number] of found) t.deepEqual((await fuzz(target, seed, number, 1)).findings, []);
  });
}

test("an input depends on seed and number alone", (t) => {
  const good = { layers: [{ name: "a", units: 3 }], list: [1, [2, 3]] };
  const made = (seed: number, index: number) => {
    const random = new Random(seed, index);
    return [mutateBytes(random, Buffer.from(JSON.stringify(good))).toString("hex"), mutateDocument(random, good)];
  };
  const all = Array.from({ length: 500 }, (_, index) => made(3, index));
  t.deepEqual(Array.from({ length: 500 }, (_, index) => made(3, 499 - index)).reverse(), all);
  t.notDeepEqual(made(4, 0), made(3, 0));
  t.true(new Set(all.map((input) => JSON.stringify(input))).size > 400);
  t.deepEqual(good, { layers: [{ name: "a", units: 3 }], list: [1, [2, 3]] });
});

test("what is thrown beside typed errors is found, with the number of its input", async (t) => {
  const careless: Target = {
    make: (random) => Uint8Array.of(random.below(4)),
    read: ([value]) => {
      if (value === 1) throw new TypeError("x is not a function");
      if (value === 2) throw new InternalError("a panic");
      if (value === 3) throw new FormatError("damaged");
    },
  };
  const { findings, accepted, peakMiB } = await fuzz(careless, 1, 100, 30);
  t.true(findings.some(({ message }) => message.includes("x is not a function")));
  t.true(findings.some(({ message }) => message.includes("a panic")));
  t.true(accepted > 0 && accepted + findings.length < 30 && peakMiB >= 0);
  for (const { index, input } of findings) {
    t.deepEqual(Buffer.from(input, "base64"), Buffer.from(careless.make(new Random(1, index))));
  }
});

test("the script reads every target", (t) => {
  const [, names] = /const names =\s+"([^"]*)"/.exec(readFileSync("scripts/fuzz.mjs", "utf8"))!;
  t.deepEqual(names!.split(" "), Object.keys(targets));
});
