import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  backupAndRestore,
  type Callback,
  DataError,
  Dataset,
  OptionError,
  type Pairs,
  Seq2Seq,
  type Seq2SeqFitOptions,
  sgd,
  streamParallelText,
  Tokenizer,
} from "../../../src/index.ts";
import { lengthOf } from "../../../src/models/seq2seq/batches.ts";
import type { EncodedPair } from "../../../src/models/seq2seq/encoded-pairs.ts";
import { PairEncoder } from "../../../src/models/seq2seq/pairs.ts";
import { RegularizedCutting, type SubwordRegularization } from "../../../src/models/seq2seq/subword-regularization.ts";
import { batchCounter } from "../../helpers/batch-counter.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sconce-regularization-"));
  await writeFile(table(), pairs.map((pair) => `${pair.join("\t")}\n`).join(""));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

const words = ["singing", "reading", "walking", "singer", "reader", "walker", "song", "read"];
const word = (index: number) => words[index % words.length]!;
const pairs = Array.from({ length: 120 }, (_, index): [string, string] => {
  const source = Array.from({ length: 1 + (index % 6) }, (_, place) => word(index * 5 + place * 3)).join(" ");
  return [source, source.split(" ").reverse().join(" ")];
});
const bpe = Tokenizer.train(pairs.flat(), { type: "bpe", vocabularySize: 60 });
const unigram = Tokenizer.train(pairs.flat(), { type: "unigram", vocabularySize: 60 });
const table = () => join(folder, "pairs.tsv");
const dropped: SubwordRegularization = { source: { dropout: 0.3 }, target: { alpha: 0.05 } };

/** The pairs of an epoch as training gets them. */
async function cut(
  data: Pairs,
  { epoch = 0, seed = 7, chances = dropped, maxLength = undefined as number | undefined, longest = 1000 } = {},
) {
  const [source, target] = [await bpe, await unigram];
  const encoder = new PairEncoder(source, target, { begin: 2, end: 3 }, true);
  const cutting = new RegularizedCutting("fit", chances, { source, target }, seed);
  const dataset = await encoder.dataset("fit", data, maxLength, undefined, { cutting, longest, varies: false });
  const all: EncodedPair[] = [];
  for await (const pair of dataset.iterate({ epoch }))
    all.push({ source: pair.source.slice(), target: pair.target.slice() });
  return { all, dataset };
}

test("texts are cut anew in each epoch, from seed, epoch and place alone, and stay what they are", async (t) => {
  const { all: first, dataset } = await cut(pairs);
  const [source, target] = [await bpe, await unigram];
  for (const [index, [read, written]] of pairs.entries()) {
    t.is(source.decode(first[index]!.source), read);
    t.is(target.decode(first[index]!.target), written);
  }
  const { all: second } = await cut(pairs, { epoch: 1 });
  const { all: other } = await cut(pairs, { seed: 8 });
  const same = (a: EncodedPair[], side: keyof EncodedPair) =>
    a.filter((pair, index) => `${pair[side]}` === `${first[index]![side]}`).length;
  for (const side of ["source", "target"] as const) {
    t.true(same(second, side) < 100, `${same(second, side)}`);
    t.true(same(other, side) < 100, `${same(other, side)}`);
  }
  // The same text at two places is cut in two ways, on both sides.
  const { all: repeated } = await cut(Array.from({ length: 40 }, () => pairs[5]!));
  t.true(new Set(repeated.map((pair) => `${pair.source}`)).size > 5);
  t.true(new Set(repeated.map((pair) => `${pair.target}`)).size > 5);
  const again: string[] = [];
  for await (const pair of dataset.iterate({ epoch: 0, step: 100 })) again.push(`${pair.source}`);
  t.deepEqual(
    again,
    first.slice(100).map((pair) => `${pair.source}`),
  );
  // One side alone leaves the other as it always is.
  const { all: half } = await cut(pairs, { chances: { source: { dropout: 0.3 } } });
  for (const [index, [, written]] of pairs.entries()) {
    t.deepEqual(half[index]!.source, first[index]!.source);
    t.deepEqual(half[index]!.target, Int32Array.of(2, ...target.encode(written), 3));
  }
});

test("files, iterables and lists give the same, from any place on", async (t) => {
  const objects = pairs.map(([source, target]) => ({ source, target }));
  for (const epoch of [0, 2]) {
    const { all: expected } = await cut(pairs, { epoch });
    const stream = streamParallelText(table());
    for (const data of [stream, Dataset.from(objects), Dataset.fromIterable(() => objects)]) {
      t.deepEqual((await cut(data, { epoch })).all, expected);
    }
    const { dataset } = await cut(stream);
    const reading = dataset.iterate({ epoch });
    for (let step = 0; step < 50; step++) await reading.next();
    const rest: EncodedPair[] = [];
    for await (const pair of dataset.iterate(JSON.parse(JSON.stringify(reading.position)))) rest.push(pair);
    t.deepEqual(rest, expected.slice(50));
  }
});

test("what becomes too long is cut in the best way, so that the same pairs are learnt in each epoch", async (t) => {
  const [source, target] = [await bpe, await unigram];
  const best = pairs.map(([read, written]) => ({
    source: source.encode(read, { addEnd: true }),
    target: Int32Array.of(2, ...target.encode(written), 3),
  }));
  const maxLength = 6;
  const { all } = await cut(pairs, { chances: { source: { dropout: 1 } }, maxLength, longest: maxLength });
  const kept = best.filter((pair) => lengthOf(pair) <= maxLength);
  t.true(kept.length > 70 && kept.length < 120);
  t.is(all.length, kept.length);
  const characters = all.filter((pair, index) => `${pair.source}` !== `${kept[index]!.source}`);
  t.true(characters.length >= 5 && characters.length < kept.length);
  for (const pair of all) t.true(lengthOf(pair) <= maxLength);
  await t.throwsAsync(cut([]), { instanceOf: DataError, message: "fit: there are no sentence pairs" });
});

const quiet = { epochs: 3, seed: 3, verbose: "silent" } as const;

/** Weights and values after training. */
async function trained(data: Pairs, options: Seq2SeqFitOptions = {}) {
  const [source, target] = [await bpe, await unigram];
  await using network = Seq2Seq.recurrent({ source, target, units: 8, embeddingDim: 6 });
  const { history } = await network.fit(data, { ...quiet, optimizer: "adam", ...options });
  return { history, weights: await network.model.getWeights() };
}

test("training differs by the cutting alone, and an interrupted run goes on with the same texts", async (t) => {
  const plain = await trained(pairs);
  const none = await trained(pairs, { subwordRegularization: { source: { dropout: 0 } } });
  t.deepEqual(none, plain);
  const run = (data: Pairs, callbacks: Callback[] = []) =>
    trained(data, { batchTokens: 160, subwordRegularization: dropped, callbacks });
  for (const [name, data] of Object.entries({
    list: () => pairs,
    stream: () => streamParallelText(table()).shuffle(5),
  })) {
    const expected = await run(data());
    t.notDeepEqual(expected.weights, plain.weights);
    for (const stop of [4, 20]) {
      const backup = backupAndRestore({ folder: join(folder, `${name}${stop}`), saveFreq: 3 });
      let steps = 0;
      const killed = new Error("killed");
      const kill: Callback = {
        onBatchEnd() {
          steps += 1;
          if (steps === stop) throw killed;
        },
      };
      await t.throwsAsync(run(data(), [backup, kill]), { is: killed });
      steps = -1000;
      t.deepEqual(await run(data(), [backup, kill]), expected);
    }
  }
});

test("every pair is learnt in each epoch, however many batches it takes", async (t) => {
  const { counts, counter } = batchCounter();
  const chances = { source: { dropout: 0.5 }, target: { alpha: 0 } };
  const batchTokens = 60;
  const seed = 4;
  await trained(pairs, { epochs: 6, batchTokens, seed, subwordRegularization: chances, callbacks: [counter] });
  const { dataset } = await cut(pairs, { seed, chances, longest: batchTokens });
  const groups = dataset.bucketByLength({ length: lengthOf, batchTokens, seed }, (items) => items.length);
  const expected: number[] = [];
  for (let epoch = 0; epoch < 6; epoch++) {
    const sizes: number[] = [];
    for await (const size of groups.iterate({ epoch })) sizes.push(size);
    t.is(
      sizes.reduce((sum, size) => sum + size, 0),
      pairs.length,
    );
    expected.push(sizes.length);
  }
  t.deepEqual(counts, expected);
  t.true(Math.max(...counts) > counts[0]!, `${counts}`);
});

test("pairs that validate are cut in the best way", async (t) => {
  const still: Seq2SeqFitOptions = { epochs: 1, optimizer: sgd({ learningRate: 0 }), validation: pairs };
  const { history: plain } = await trained(pairs, still);
  const { history } = await trained(pairs, { ...still, subwordRegularization: dropped });
  t.deepEqual(history.valLoss, plain.valLoss);
  t.notDeepEqual(history.loss, plain.loss);
});

test("what cannot be cut at random is an error", async (t) => {
  const wordly = await Tokenizer.train(pairs.flat(), { type: "word" });
  const fit = async (options: object, target = wordly) => {
    await using network = Seq2Seq.recurrent({ source: await bpe, target, units: 4, embeddingDim: 4 });
    await network.fit(pairs, { verbose: "silent", ...options });
  };
  const refused = async (options: object, message: RegExp) =>
    t.throwsAsync(fit(options), { instanceOf: OptionError, message });
  const regularized = (subwordRegularization: unknown) => ({ subwordRegularization });
  await refused(
    regularized({ target: { dropout: 0.1 } }),
    /^fit: subwordRegularization: target: this tokenizer cannot/,
  );
  await refused(regularized({ source: { alpha: 0.1 } }), /subwordRegularization: source: unknown option "alpha"/);
  await refused(regularized({ source: { dropout: 2 } }), /dropout must be a number from 0 to 1, got 2/);
  await refused(regularized({ source: { dropout: 0.1, seed: 1 } }), /unknown option "seed"/);
  await refused(regularized({}), /give source, target or both/);
  await refused(regularized({ sources: {} }), /unknown option "sources"/);
  await refused({ ...regularized({ source: { dropout: 0.1 } }), keepIds: true }, /keepIds/);
});
