import { readFileSync } from "node:fs";
import test from "ava";
import { type MultiOutputModel, model, ndarray, type SingleOutputModel } from "../../src/index.ts";
import { restoreOptimizer } from "../../src/optimizers/resolve.ts";
import { restoreGraph } from "../../src/saving/restore-graph.ts";
import { formulaIntegers } from "../helpers/formula-weights.ts";
import { type GoldenWeight, goldenWeights, norm } from "../helpers/golden-model.ts";

/** `__test__/golden/keras/fitting.json`; its field `about` says what each part means. */
interface Case {
  name: string;
  document: Parameters<typeof restoreGraph>[0];
  optimizer: { type: string; learningRate: number };
  weights: (GoldenWeight & { final: number[] })[];
  history: { loss: number[]; valLoss: number[] };
  evaluated: number;
}

const golden = new URL("../golden/keras/fitting.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(golden, "utf8")) as { cases: Case[] };

for (const { name, document, optimizer, weights, history, evaluated } of cases) {
  test(`fit and evaluate give Keras' numbers: ${name}`, async (t) => {
    const restored = restoreGraph(document);
    await using trained: SingleOutputModel | MultiOutputModel = model(restored);
    const data = [50, 51].map((seed) => ndarray(formulaIntegers(seed, 60, 0, 9), [12, 5])) as [never, never];
    await trained.setWeights(goldenWeights(weights));
    trained.compile({ optimizer: restoreOptimizer(optimizer), loss: "sparseCategoricalCrossentropy" });
    const fitted = await trained.fit(...data, {
      batchSize: 4,
      epochs: 3,
      shuffle: false,
      validationData: data,
      validationBatchSize: 4,
      verbose: "silent",
    });
    let worst = 0;
    const compare = (found: number, expected: number, what: string) => {
      const difference = Math.abs(found - expected) / Math.abs(expected);
      worst = Math.max(worst, difference);
      t.true(difference < 1e-5, `${what}: ${found}, Keras has ${expected}`);
    };
    for (const key of ["loss", "valLoss"] as const) {
      const values = fitted.history[key]!;
      t.is(values.length, 3);
      for (const [epoch, value] of values.entries()) compare(value, history[key][epoch]!, `${key} of epoch ${epoch}`);
    }
    compare((await trained.evaluate(...data, { batchSize: 4 })).loss, evaluated, "evaluate");
    for (const [index, { data: found }] of (await trained.getWeights()).entries()) {
      const { layer, name: weight, final } = weights[index]!;
      const difference = norm(found, final) / Math.max(norm(final), 1e-3);
      worst = Math.max(worst, difference);
      t.true(difference < 1e-5, `${layer}/${weight} is off by ${difference}`);
    }
    t.log(`largest relative difference: ${worst.toExponential(1)}`);
  });
}
