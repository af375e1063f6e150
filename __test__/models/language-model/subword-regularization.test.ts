import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  backupAndRestore,
  type Callback,
  LanguageModel,
  type LanguageModelFitOptions,
  OptionError,
  sgd,
  Tokenizer,
} from "../../../src/index.ts";
import { TokenStream } from "../../../src/models/language-model/blocks.ts";
import { samplingOf } from "../../../src/models/seq2seq/subword-regularization.ts";
import { batchCounter } from "../../helpers/batch-counter.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sconce-language-regularization-"));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

const words = ["singing", "reading", "walking", "singer", "reader", "walker", "song", "read"];
const texts = Array.from({ length: 60 }, (_, index) =>
  Array.from({ length: 1 + (index % 6) }, (_, place) => words[(index * 5 + place * 3) % words.length]!).join(" "),
);
const bpe = Tokenizer.train(texts, { type: "bpe", vocabularySize: 60 });
const unigram = Tokenizer.train(texts, { type: "unigram", vocabularySize: 60 });
const quiet = { epochs: 4, contextLength: 10, batchSize: 4, seed: 3, verbose: "silent" } as const;

/** Weights and values after training, and the batches of each epoch. */
async function trained(options: LanguageModelFitOptions = {}, tokenizer = bpe, stateful = false) {
  await using writer = LanguageModel.recurrent({
    tokenizer: await tokenizer,
    units: 8,
    layers: 1,
    embeddingDim: 6,
    stateful,
  });
  const { history } = await writer.fit(texts, { ...quiet, optimizer: "adam", ...options });
  return { history, weights: await writer.model.getWeights() };
}

test("training differs by the cutting alone, and an interrupted run goes on with the same texts", async (t) => {
  for (const [tokenizer, chance, none, stateful] of [
    [bpe, { dropout: 0.3 }, { dropout: 0 }, false],
    [bpe, { dropout: 0.3 }, { dropout: 0 }, true],
    [unigram, { alpha: 0.05 }, undefined, false],
  ] as const) {
    const plain = await trained({}, tokenizer, stateful);
    if (none !== undefined) t.deepEqual(await trained({ subwordRegularization: none }, tokenizer, stateful), plain);
    const run = (callbacks: Callback[] = []) =>
      trained({ subwordRegularization: chance, callbacks }, tokenizer, stateful);
    const expected = await run();
    t.notDeepEqual(expected.weights, plain.weights);
    for (const stop of [4, 30]) {
      const backup = backupAndRestore({
        folder: join(folder, `${JSON.stringify(chance)}${stateful}${stop}`),
        saveFreq: 3,
      });
      let steps = 0;
      const killed = new Error("killed");
      const kill: Callback = {
        onBatchEnd() {
          steps += 1;
          if (steps === stop) throw killed;
        },
      };
      await t.throwsAsync(run([backup, kill]), { is: killed });
      steps = -1000;
      t.deepEqual(await run([backup, kill]), expected);
    }
  }
});

test("each epoch has all texts, cut by seed and epoch, in as many blocks as they take", async (t) => {
  const { counts, counter } = batchCounter();
  const chance = { dropout: 0.4 };
  const { contextLength } = quiet;
  const [batchSize, seed] = [1, 4];
  await trained({ epochs: 6, batchSize, seed, subwordRegularization: chance, callbacks: [counter] });
  const tokenizer = await bpe;
  const { end } = tokenizer.vocabulary;
  const expected: number[] = [];
  const drawn = new Set<string>();
  for (let epoch = 0; epoch < 6; epoch++) {
    const sampling = samplingOf(chance, seed, epoch, 0);
    const stream = await TokenStream.of(texts, tokenizer, { end, signal: undefined, sampling });
    const { next } = await stream.blocks(stream.tokens).at(0);
    const parts: number[][] = [[]];
    for (const id of next) id === end ? parts.push([]) : parts.at(-1)!.push(id);
    t.deepEqual(
      parts.slice(0, -1).map((ids) => tokenizer.decode(ids)),
      texts,
    );
    drawn.add(`${next}`);
    expected.push(Math.ceil(stream.blocks(contextLength).length / batchSize));
  }
  t.deepEqual(counts, expected);
  t.is(drawn.size, 6);
  t.true(Math.max(...counts) > counts[0]!, `${counts}`);
});

test("texts that validate are cut in the best way", async (t) => {
  const still = { epochs: 1, optimizer: sgd({ learningRate: 0 }), validation: texts };
  const { history: plain } = await trained(still);
  const { history } = await trained({ ...still, subwordRegularization: { dropout: 0.3 } });
  t.deepEqual(history.valLoss, plain.valLoss);
  t.notDeepEqual(history.loss, plain.loss);
});

test("what cannot be cut at random is an error", async (t) => {
  const refused = async (subwordRegularization: unknown, message: RegExp, tokenizer = bpe) =>
    t.throwsAsync(trained({ subwordRegularization } as LanguageModelFitOptions, tokenizer), {
      instanceOf: OptionError,
      message,
    });
  const wordly = Tokenizer.train(texts, { type: "word" });
  await refused({ dropout: 0.1 }, /^fit: subwordRegularization: this tokenizer cannot/, wordly);
  await refused({ alpha: 0.1 }, /subwordRegularization: unknown option "alpha"/);
  await refused({ dropout: 2 }, /dropout must be a number from 0 to 1, got 2/);
  await refused({ dropout: 0.1, seed: 1 }, /unknown option "seed"/);
  await refused({ source: { dropout: 0.1 } }, /unknown option "source"/);
});
