/**
 * Trains a small model with backups and writes a digest of its weights; killed by itself where it is told.
 *
 * Arguments: folder of the backup, file for the result, `arrays` or `dataset`, then optionally `step` or `write` and how many of
 * them come before the kill.
 */
import { createHash } from "node:crypto";
import { truncateSync, writeFileSync } from "node:fs";
import {
  backupAndRestore,
  type Callback,
  Dataset,
  input,
  layers,
  model,
  padSequences,
  stack,
} from "../../src/index.ts";

const [folder, result, kind, moment, after] = process.argv.slice(2);
if (folder === undefined || result === undefined) throw new Error("folder and result are missing");

const rows = 50;
const ids = (seed: number) =>
  padSequences(
    Array.from({ length: rows }, (_, row) =>
      Array.from({ length: 6 }, (_, time) => 1 + ((row * seed + time * 7) % 19)),
    ),
  );
const [source, goal] = [ids(3), ids(5)];

const encoder = input({ shape: [null], dtype: "int32" });
const decoder = input({ shape: [null], dtype: "int32" });
const embedding = layers.embedding({ inputDim: 20, outputDim: 8, maskZero: true });
const [, h, c] = layers.lstm({ units: 12, returnState: true })(embedding(encoder));
const lstm = layers.lstm({ units: 12, returnSequences: true, returnState: true, dropout: 0.2, recurrentDropout: 0.2 });
const [states] = lstm(embedding(decoder), { initialState: [h, c] });
const outputs = layers.dense({ units: 20, activation: "softmax" })(layers.dropout({ rate: 0.2 })(states));
const translator = model({ inputs: [encoder, decoder], outputs });
translator.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"], seed: 4 });

const kill = () => process.kill(process.pid, "SIGKILL");
let steps = 0;
const killer: Callback = {
  onBatchBegin() {
    steps += 1;
    // The step runs by then.
    if (moment === "step" && steps > Number(after)) setImmediate(kill);
  },
};
if (moment === "write") {
  const write = translator.saveWeights.bind(translator);
  let writes = 0;
  translator.saveWeights = async (path) => {
    await write(path);
    writes += 1;
    if (writes <= Number(after)) return;
    truncateSync(path, 100);
    kill();
    await new Promise(() => undefined);
  };
}

const options = {
  epochs: 4,
  callbacks: [backupAndRestore({ folder, saveFreq: 3 }), killer],
  verbose: "silent",
} as const;
const history =
  kind === "dataset"
    ? await translator.fit(Dataset.fromArrays([source, source], [goal]).shuffle(2).batch(4, stack), options)
    : await translator.fit([source, source], goal, { ...options, batchSize: 4, seed: 9, validationSplit: 0.2 });
const digest = createHash("sha256");
for (const { data } of await translator.getWeights()) digest.update(data);
writeFileSync(result, JSON.stringify({ weights: digest.digest("hex"), history, steps }));
