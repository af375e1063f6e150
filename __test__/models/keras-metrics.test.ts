import { readFileSync } from "node:fs";
import test from "ava";
import { Dataset, type MetricName, ndarray } from "../../src/index.ts";
import { type GoldenDocument, type GoldenWeight, goldenModel, goldenWeights } from "../helpers/golden-model.ts";

interface GoldenArray {
  shape: number[];
  data: number[];
}

/** A case of `__test__/golden/keras/metrics.json`; its field `about` says what each part means. */
interface MetricsCase {
  name: string;
  document: GoldenDocument;
  classes: number;
  oneHot: boolean;
  metrics: MetricName[];
  weights: GoldenWeight[];
  batches: { inputs: GoldenArray[]; target: GoldenArray; sampleWeight: GoldenArray | null }[];
  expected: Record<string, number>;
}

const file = new URL("../golden/keras/metrics.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: MetricsCase[] };

const ids = ({ data, shape }: GoldenArray) => ndarray(Int32Array.from(data), shape);

function oneHot({ data, shape }: GoldenArray, classes: number) {
  if (classes === 1) return ndarray(Float32Array.from(data), [...shape, 1]);
  const values = new Float32Array(data.length * classes);
  for (const [position, id] of data.entries()) values[position * classes + id] = 1;
  return ndarray(values, [...shape, classes]);
}

for (const { name, document, classes, oneHot: vectors, metrics, weights, batches, expected } of cases) {
  test(`Keras: ${name}`, async (t) => {
    await using evaluated = goldenModel(document);
    evaluated.compile({
      optimizer: "sgd",
      loss: vectors ? "categoricalCrossentropy" : "sparseCategoricalCrossentropy",
      metrics,
    });
    await evaluated.build();
    await evaluated.setWeights(goldenWeights(weights));
    const data = Dataset.from(
      batches.map(({ inputs, target, sampleWeight }) => ({
        inputs: inputs.map(ids),
        targets: [vectors ? oneHot(target, classes) : ids(target)],
        sampleWeights: [
          sampleWeight === null ? null : ndarray(Float32Array.from(sampleWeight.data), sampleWeight.shape),
        ],
      })),
    );
    const found: Record<string, number> = { ...(await evaluated.evaluate(data)) };
    for (const [metric, value] of Object.entries(expected)) {
      const difference = Math.abs(found[metric]! - value);
      t.true(difference <= 1e-5 * Math.max(1, Math.abs(value)), `${metric}: ${found[metric]}, Keras' ${value}`);
    }
    t.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  });
}
