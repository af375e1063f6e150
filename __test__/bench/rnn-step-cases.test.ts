import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { rnnCaseNames, writeRnnCase } from "../../bench/rnn-step-cases.ts";
import { input, layers, model } from "../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-rnn-cases-"));
test.after.always(() => rmSync(folder, { recursive: true }));

test("weights come in the order and shapes of the model's layers", (t) => {
  const ids = input({ shape: [null], dtype: "int32" });
  for (const name of rnnCaseNames.filter((name) => !name.includes("tatoeba"))) {
    const { kind, vocabulary, dimension, units, weights, batches, masked } = writeRnnCase(name, folder);
    const embedding = layers.embedding({ inputDim: vocabulary, outputDim: dimension });
    const gru = () => layers.gru({ units, returnSequences: true });
    const lstm = () => layers.lstm({ units, returnSequences: true });
    const encoder = kind === "gru" ? gru() : layers.bidirectional({ layer: lstm(), mergeMode: "sum" });
    const decoder = kind === "gru" ? gru() : lstm();
    const dense = layers.dense({ units: vocabulary });
    model({ inputs: ids, outputs: dense(decoder(encoder(embedding(ids)))) });
    const expected = [embedding, encoder, decoder, dense].flatMap((layer) => layer.weights.map(({ shape }) => shape));
    // The decoder of the bench reads embedded words, not the encoder's outputs.
    const kernel = expected.length - 5;
    t.deepEqual(
      weights.map(({ shape }) => shape),
      expected.map((shape, index) => (index === kernel ? [dimension, shape[1]!] : [...shape])),
      name,
    );
    t.false(masked);
    t.is(batches.length, 64);
  }
});
