import { readFileSync } from "node:fs";
import test from "ava";
import { optimizers, padSequences, readParallelText } from "../../src/index.ts";
import { type GoldenDocument, type GoldenWeight, goldenModel, goldenWeights, norm } from "../helpers/golden-model.ts";

/** `__test__/golden/keras/training.json`; its field `about` says what each part means. */
interface Training {
  checksum: number;
  document: GoldenDocument;
  optimizer: { learningRate: number };
  weights: GoldenWeight[];
  losses: number[];
  final: { layer: string; name: string; norm: number; offset: number; unit: number }[];
}

const golden = (name: string) => new URL(`../golden/keras/${name}`, import.meta.url);
const training = JSON.parse(readFileSync(golden("training.json"), "utf8")) as Training;
const finalValues = readFileSync(golden("training.bin"));
const batchCount = 32;
const batchSize = 16;

/** The batches that the golden script cuts from the bundled pairs. */
async function batches() {
  const text = await readParallelText(new URL("../../data/tatoeba-en-zh.train.tsv.gz", import.meta.url).pathname);
  const pairs = [...text]
    .map(({ source, target }) => [
      source.toLowerCase().match(/[a-z0-9']+|[^\sa-z0-9']/gu) ?? [],
      [...target].filter((character) => !/\s/u.test(character)),
    ])
    .filter(([source, target]) => source!.length <= 12 && target!.length <= 18)
    .filter((_, index) => index % batchCount === 0)
    .slice(0, batchCount * batchSize);
  const counts = new Map<string, number>();
  for (const word of pairs.flat(2)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const vocabulary = training.weights[0]!.shape[0]!;
  const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, vocabulary - 4);
  const ids = new Map(common.map(([word], index) => [word, index + 4]));
  const known = pairs.map((pair) => pair.map((side) => side.map((word) => ids.get(word) ?? 1)));
  return Array.from({ length: batchCount }, (_, batch) => {
    const rows = known.filter((_, index) => index % batchCount === batch);
    return [
      padSequences(rows.map(([source]) => source!)),
      padSequences(rows.map(([, target]) => [2, ...target!])),
      padSequences(rows.map(([, target]) => [...target!, 3])),
    ] as const;
  });
}

test("200 steps of RMSprop on real pairs give Keras' losses and weights", async (t) => {
  const data = await batches();
  let checksum = 0x811c9dc5;
  for (const array of data.flat()) for (const id of array.data) checksum = Math.imul(checksum ^ id, 0x01000193) >>> 0;
  t.is(checksum, training.checksum, "the ids must be those of the golden script");

  await using translator = goldenModel(training.document);
  translator.compile({
    optimizer: optimizers.rmsprop({ learningRate: training.optimizer.learningRate }),
    loss: "sparseCategoricalCrossentropy",
  });
  await translator.build();
  await translator.setWeights(goldenWeights(training.weights));

  let worst = 0;
  for (const [step, expected] of training.losses.entries()) {
    const [encoder, decoder, goal] = data[step % batchCount]!;
    const { loss } = await translator.trainOnBatch([encoder, decoder], goal);
    worst = Math.max(worst, Math.abs(loss / expected - 1));
  }
  t.log(`largest relative difference of a loss: ${worst.toExponential(1)}`);
  t.true(worst <= 1e-4, `losses differ by ${worst} relative`);
  const lastEpoch = training.losses.slice(-batchCount).reduce((sum, loss) => sum + loss, 0) / batchCount;
  t.true(lastEpoch <= 0.6 * training.losses[0]!, "the run must be one that learns");

  const weights = await translator.getWeights();
  t.is(weights.length, training.final.length);
  for (const [index, { layer, name, norm: size, offset, unit }] of training.final.entries()) {
    const { data: values } = weights[index]!;
    const expected = Float64Array.from(values, (_, element) => finalValues.readInt16LE(offset + 2 * element) * unit);
    const difference = norm(values, expected) / size;
    t.true(difference <= 1e-3, `${layer}/${name} differs by ${difference} of its norm`);
  }
});
