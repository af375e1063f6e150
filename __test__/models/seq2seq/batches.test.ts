import test from "ava";
import { Tokenizer } from "../../../src/data/tokenizer.ts";
import { DataError, OptionError } from "../../../src/errors.ts";
import { Dataset, ParallelText } from "../../../src/index.ts";
import { batchOf, lengthOf, tokensOf } from "../../../src/models/seq2seq/batches.ts";
import { PairEncoder, type Pairs } from "../../../src/models/seq2seq/pairs.ts";
import type { Roles } from "../../../src/models/seq2seq/roles.ts";

const texts: [string, string][] = [
  ["ab", "xyz"],
  ["a", "x"],
];
const roles: Roles = { encoderInput: 1, decoderInput: 0, output: 0, sourceFeed: "ids", feed: "ids", masked: true };

async function encoderOf() {
  const source = await Tokenizer.train(["aab"], { type: "character" });
  const target = await Tokenizer.train(["xxxyyz"], { type: "character" });
  return new PairEncoder(source, target, { begin: 2, end: 3 }, true);
}

async function encodedOf(pairs: Pairs, maxLength?: number) {
  const encoded = [];
  for await (const pair of await (await encoderOf()).dataset("fit", pairs, maxLength, undefined)) encoded.push(pair);
  return encoded;
}

test("the decoder reads begin and target, and learns target and end", async (t) => {
  const pairs = await encodedOf(texts);
  const { inputs, targets, sampleWeights } = batchOf(pairs, roles, { source: 6, target: 7 });
  t.deepEqual(inputs, [
    { data: Int32Array.from([2, 4, 5, 6, 2, 4, 0, 0]), shape: [2, 4] },
    { data: Int32Array.from([4, 5, 3, 4, 3, 0]), shape: [2, 3] },
  ]);
  t.deepEqual(targets, [{ data: Int32Array.from([4, 5, 6, 3, 4, 3, 0, 0]), shape: [2, 4] }]);
  t.is(sampleWeights, undefined);
  t.is(tokensOf(pairs), 6);
  t.deepEqual(pairs.map(lengthOf), [4, 2]);
});

test("without a mask weights are 0 on padding, and the mean over all is the mean over tokens", async (t) => {
  const pairs = await encodedOf(texts);
  const unmasked: Roles = { ...roles, sourceFeed: "oneHot", feed: "oneHot", masked: false };
  const { inputs, sampleWeights } = batchOf(pairs, unmasked, { source: 6, target: 7 });
  const w = Math.fround(8 / 6);
  t.deepEqual(sampleWeights, [{ data: Float32Array.from([w, w, w, w, w, w, 0, 0]), shape: [2, 4] }]);
  t.deepEqual(inputs[1]!.shape, [2, 3, 6]);
  const ones = Array.from(inputs[0]!.data.entries()).flatMap(([index, value]) => (value === 0 ? [] : [index]));
  t.deepEqual(ones, [2, 7 + 4, 14 + 5, 21 + 6, 28 + 2, 35 + 4]);
});

test("pairs come from text, lists and datasets; long ones are left out", async (t) => {
  const expected = await encodedOf(texts);
  t.is(expected.length, 2);
  t.deepEqual(await encodedOf(ParallelText.from(texts)), expected);
  t.deepEqual(await encodedOf(texts.map(([source, target]) => ({ source, target }))), expected);
  t.deepEqual(await encodedOf(Dataset.from(texts.map(([source, target]) => ({ source, target })))), expected);
  t.deepEqual(await encodedOf(texts, 4), expected);
  t.deepEqual(await encodedOf(texts, 3), expected.slice(1));
  await t.throwsAsync(encodedOf(texts, 1), { instanceOf: DataError, message: /too long/ });
  await t.throwsAsync(encodedOf([]), { instanceOf: DataError, message: /no sentence pairs/ });
  await t.throwsAsync(encodedOf(7 as unknown as Pairs), { instanceOf: OptionError });
  await t.throwsAsync(encodedOf([["a", 7]] as unknown as Pairs), { instanceOf: DataError, message: /pair 0/ });
});
