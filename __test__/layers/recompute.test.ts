/** Layers of Transformers that compute their values a second time for the backward pass: nothing that can be seen changes by that. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  adam,
  FormatError,
  input,
  LanguageModel,
  layers,
  loadModel,
  type Model,
  model,
  ndarray,
  OptionError,
  Seq2Seq,
  Tokenizer,
} from "../../src/index.ts";
import { formulaIntegers } from "../helpers/formula-weights.ts";

const [vocabulary, rows, steps] = [19, 6, 11];
const size = { intermediateDim: 24, numHeads: 2 };

/** Ids with padding behind, before and between. */
function ids(seed: number) {
  const data = formulaIntegers(seed, rows * steps, 1, vocabulary);
  data.fill(0, steps - 4, steps);
  data.fill(0, steps, steps + 5);
  data.fill(0, 2 * steps + 3, 2 * steps + 6);
  return ndarray(data, [rows, steps]);
}

const [source, target] = [ids(1), ids(2)];
const goal = ndarray(formulaIntegers(3, rows * steps, 0, vocabulary), [rows, steps]);

/** An encoder that is called twice, a decoder, and a stateful layer before them, all with dropout. */
function translator(recompute: boolean): Model {
  const [read, begun] = [0, 1].map(() => input({ shape: [steps], dtype: "int32" }));
  const table = layers.reversibleEmbedding({ inputDim: vocabulary, outputDim: 12, maskZero: true });
  const options = { ...size, dropout: 0.2, attentionDropout: 0.1, activationDropout: 0.1, recompute };
  const encoder = layers.transformerEncoder({ ...options, activation: "gelu", normalizeFirst: true });
  const carried = layers.lstm({ units: 12, returnSequences: true, returnState: false, stateful: true })(table(read!));
  const memory = encoder(encoder(carried));
  const decoder = layers.transformerDecoder({ ...options, rotary: "halves" });
  const scores = table(decoder(table(begun!), memory), { reverse: true });
  return model({ inputs: [read!, begun!], outputs: layers.activation({ activation: "softmax" })(scores) });
}

async function trained(made: Model, updates = 4) {
  const losses: number[] = [];
  for (let update = 0; update < updates; update++) {
    losses.push((await made.trainOnBatch([source, target], goal)).loss);
  }
  losses.push((await made.testOnBatch([source, target], goal)).loss);
  const weights = await made.getWeights();
  return { losses, weights: weights.map(({ data }) => data) };
}

async function ready(recompute: boolean): Promise<Model> {
  const made = translator(recompute);
  await made.build({ seed: 3 });
  made.compile({ optimizer: adam({ learningRate: 0.01 }), loss: "sparseCategoricalCrossentropy", seed: 5 });
  return made;
}

test("training gives the same bits, with masks, dropout, a shared layer and states of the batch before", async (t) => {
  await using kept = await ready(false);
  await using made = await ready(true);
  const [first, second] = [await trained(kept), await trained(made)];
  t.deepEqual(second, first);
  t.true(first.losses[3]! < first.losses[0]!);
  const [before, after] = [await kept.predict([source, target]), await made.predict([source, target])];
  t.deepEqual(after, before);
});

test("gradients of several batches add up to the same bits", async (t) => {
  const run = async (recompute: boolean) => {
    await using made = await ready(recompute);
    const options = { epochs: 2, batchSize: 2, accumulateSteps: 3, verbose: "silent", shuffle: false } as const;
    const { history } = await made.fit([source, target], goal, options);
    return { loss: history.loss, weights: (await made.getWeights()).map(({ data }) => data) };
  };
  t.deepEqual(await run(true), await run(false));
});

test("a saved model has the option, and one without it says nothing of it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-recompute-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const flags = ({ layers: all }: Model) =>
    all.filter(({ type }) => type.startsWith("transformer")).map((layer) => layer.options.recompute);
  for (const recompute of [true, false]) {
    await using made = await ready(recompute);
    await made.save(join(folder, `${recompute}`));
    await using again = await loadModel(join(folder, `${recompute}`));
    t.deepEqual(flags(again as Model), recompute ? [true, true] : [undefined, undefined]);
    again.compile({ optimizer: adam({ learningRate: 0.01 }), loss: "sparseCategoricalCrossentropy", seed: 5 });
    t.deepEqual(await trained(again as Model, 2), await trained(made, 2));
  }
  const path = join(folder, "true", "config.json");
  const text = await readFile(path, "utf8");
  t.true(text.includes('"recompute"'));
  await writeFile(path, text.replace(/"recompute": ?true/, '"recompute":"yes"'));
  await t.throwsAsync(loadModel(join(folder, "true")), {
    instanceOf: FormatError,
    message: /recompute must be true or false/,
  });
});

test("models of Transformer layers hand the option to each of them", async (t) => {
  const tokenizer = await Tokenizer.train(["a b c", "d e"], { type: "word" });
  const small = { dModel: 8, heads: 2, ffn: 8 };
  for (const recompute of [true, undefined]) {
    const option = recompute === undefined ? {} : { recompute };
    const made = [
      Seq2Seq.transformer({ source: tokenizer, target: tokenizer, ...small, ...option }),
      Seq2Seq.transformer({ source: tokenizer, target: tokenizer, preset: "transformer-tiny", ...option }),
      LanguageModel.transformer({ tokenizer, layers: 3, ...small, ...option }),
    ];
    const counts = made.map(({ model }) => model.layers.filter(({ options }) => options.recompute === true).length);
    t.deepEqual(counts, recompute ? [6, 8, 3] : [0, 0, 0]);
  }
});

test("anything but true and false is refused", async (t) => {
  const tokenizer = await Tokenizer.train(["a b c"], { type: "word" });
  for (const recompute of [1, "yes", {}] as unknown as boolean[]) {
    const wrong: [call: () => unknown, where: string][] = [
      [() => layers.transformerEncoder({ ...size, recompute }), "transformerEncoder"],
      [() => layers.transformerDecoder({ ...size, recompute }), "transformerDecoder"],
      [() => Seq2Seq.transformer({ source: tokenizer, target: tokenizer, recompute }), "Seq2Seq.transformer"],
      [() => LanguageModel.transformer({ tokenizer, recompute }), "LanguageModel.transformer"],
    ];
    for (const [call, where] of wrong) {
      t.throws(call, {
        instanceOf: OptionError,
        message: new RegExp(`^${where}: recompute must be true or false, got`),
      });
    }
  }
});
