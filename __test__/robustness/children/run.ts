/** Trains the textbook model with dropout in a small run, and prints its losses and a digest of its weights as JSON. */
import { createHash } from "node:crypto";
import { environment, input, layers, model, ndarray } from "../../../src/index.ts";
import { formulaIntegers } from "../../helpers/formula-weights.ts";

const [rows, time, vocabulary] = [48, 9, 300];
const tokens = (seed: number) => {
  const ids = formulaIntegers(seed, rows * time, 1, vocabulary);
  // Real lengths: the end of each row is padding.
  return ndarray(
    ids.map((id, index) => (index % time < 3 + (Math.floor(index / time) % (time - 2)) ? id : 0)),
    [rows, time],
  );
};

const embedding = layers.embedding({ inputDim: vocabulary, outputDim: 20, maskZero: true });
const [source, target] = [input({ shape: [null], dtype: "int32" }), input({ shape: [null], dtype: "int32" })];
const dropped = { dropout: 0.1, recurrentDropout: 0.1 };
const [, h, c] = layers.lstm({ units: 40, returnState: true, ...dropped })(embedding(source));
const decoder = layers.lstm({ units: 40, returnSequences: true, ...dropped });
const states = layers.dropout({ rate: 0.1 })(decoder(embedding(target), { initialState: [h, c] }));
const outputs = layers.dense({ units: vocabulary, activation: "softmax" })(states);
const translator = model({ inputs: [source, target], outputs });
translator.compile({ optimizer: "rmsprop", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"], seed: 3 });
await translator.build({ seed: Number(process.argv[2] ?? 1) });
const data = [tokens(1), tokens(2)];
const { history } = await translator.fit(data, tokens(3), { epochs: 4, batchSize: 16, seed: 5, verbose: 0 });
const digest = createHash("sha256");
for (const { data: values } of await translator.getWeights()) digest.update(values);
const { simd, threads, simdAvailable } = environment();
console.log(JSON.stringify({ simd, threads, simdAvailable, losses: history.loss, weights: digest.digest("hex") }));
