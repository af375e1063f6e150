import { readFileSync } from "node:fs";
import test from "ava";
import { losses, ndarray, optimizers } from "../../src/index.ts";
import { type GoldenDocument, type GoldenWeight, goldenModel, goldenWeights, norm } from "../helpers/golden-model.ts";

interface GoldenArray {
  shape: number[];
  dtype: "float32" | "int32";
  data: number[];
}

/** A case of `__test__/golden/keras/training-variants.json`; its field `about` says what each part means. */
interface Variant {
  name: string;
  document: GoldenDocument;
  optimizer: { type: "sgd" | "rmsprop" | "adam" | "adamw" } & Record<string, number | boolean | string>;
  losses: ({ type: "categoricalCrossentropy" | "sparseCategoricalCrossentropy"; weight: number } & Record<
    string,
    number | boolean | string
  >)[];
  batches: { inputs: GoldenArray[]; targets: GoldenArray[]; sampleWeights: (GoldenArray | null)[] }[];
  weights: (GoldenWeight & { final: number[] })[];
  history: number[];
}

const file = new URL("../golden/keras/training-variants.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: Variant[] };

function array({ shape, dtype, data }: GoldenArray) {
  return ndarray(dtype === "int32" ? Int32Array.from(data) : Float32Array.from(data), shape);
}

for (const { name, document, optimizer, losses: described, batches, weights, history } of cases) {
  test(`Keras: ${name}`, async (t) => {
    await using trained = goldenModel(document);
    const { type, ...options } = optimizer;
    trained.compile({
      optimizer: optimizers[type](options),
      loss: described.map(({ type, weight: _, ...lossOptions }) => losses[type](lossOptions)),
      lossWeights: described.map(({ weight }) => weight),
    });
    await trained.build();
    await trained.setWeights(goldenWeights(weights));
    for (const [step, expected] of history.entries()) {
      const { inputs, targets, sampleWeights } = batches[step % batches.length]!;
      const named = sampleWeights.flatMap((weight, output) =>
        weight === null ? [] : [[trained.outputNames[output], array(weight)]],
      );
      const { loss } = await trained.trainOnBatch(inputs.map(array), targets.map(array), {
        ...(named.length > 0 ? { sampleWeight: Object.fromEntries(named) } : {}),
      });
      const difference = Math.abs(loss / expected - 1);
      t.true(difference <= 1e-5, `step ${step}: loss ${loss}, Keras' ${expected}`);
    }
    for (const [index, { data }] of (await trained.getWeights()).entries()) {
      const { layer, name: weight, final } = weights[index]!;
      const difference = norm(data, final) / norm(final);
      t.true(difference <= 1e-4, `${layer}/${weight} differs by ${difference} of its norm`);
    }
  });
}
