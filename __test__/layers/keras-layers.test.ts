/** Outputs of single layers against Keras; the gradients of the same cases are compared on the Rust side. */
import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import type { GraphDocument } from "../../src/graph/document.ts";
import { model, ndarray } from "../../src/index.ts";
import { describedWeights } from "../../src/layers/weights.ts";
import { restoreGraph } from "../../src/saving/restore-graph.ts";
import { formulaValues } from "../helpers/formula-weights.ts";

interface Values {
  shape: number[];
  seed: number;
  scale: number;
  data?: number[];
  rounded?: boolean;
  shift?: number;
}

interface Case {
  name: string;
  document: GraphDocument;
  weights: (Values & { layer: string; name: string })[];
  inputs: Values[];
  outputs: { shape: number[]; data: number[] }[];
}

const folder = new URL("../golden/keras/", import.meta.url);

function values({ shape, seed, scale, data, rounded, shift }: Values) {
  if (data !== undefined) return ndarray(Int32Array.from(data), shape);
  const length = shape.reduce((product, size) => product * size, 1);
  const filled = formulaValues(seed, length, scale);
  const made = rounded === true ? filled.map(Math.round) : filled;
  return ndarray(shift === undefined ? made : made.map((value) => value + shift), shape);
}

for (const file of readdirSync(folder).filter((name) => /^layers-.*\.json$/.test(name))) {
  test(`${file}: outputs are those of Keras`, async (t) => {
    const { cases } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { cases: Case[] };
    t.true(cases.length > 0);
    let worst = 0;
    // `predict` takes rows: one mask for all of them is compared on the Rust side alone.
    const ofRows = cases.filter(({ inputs }) => new Set(inputs.map(({ shape }) => shape[0])).size === 1);
    t.true(ofRows.length > 0);
    for (const { name, document, weights, inputs, outputs } of ofRows) {
      await using tested = model(restoreGraph(document));
      const given = describedWeights(tested.handle()).map(({ layer, name: weight }) => {
        const found = weights.find((entry) => entry.layer === layer && entry.name === weight)!;
        return {
          shape: found.shape,
          data: formulaValues(
            found.seed,
            found.shape.reduce((a, b) => a * b, 1),
            found.scale,
          ),
        };
      });
      t.is(given.length, weights.length, name);
      await tested.setWeights(given);
      const predicted = await tested.predict(inputs.map(values));
      t.is(predicted.length, outputs.length, name);
      for (const [index, { shape, data }] of outputs.entries()) {
        const got = predicted[index]!;
        t.deepEqual(got.shape, shape, name);
        const largest = Math.max(...data.map(Math.abs), 1e-30);
        const error = Math.max(...data.map((value, element) => Math.abs(value - got.data[element]!))) / largest;
        t.true(error <= 1e-5, `${name}, output ${index}: relative error ${error}`);
        worst = Math.max(worst, error);
      }
    }
    const left = cases.length - ofRows.length;
    if (left > 0) t.log(`${left} cases have one mask for all rows: only compared on the Rust side`);
    t.log(`${ofRows.length} cases, largest relative error ${worst.toExponential(1)}`);
  });
}
