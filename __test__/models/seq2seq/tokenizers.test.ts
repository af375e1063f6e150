import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { input, layers, model, OptionError, Seq2Seq, Tokenizer } from "../../../src/index.ts";

const lines = ["the cat sat", "the dog sat", "我在这里", "a cat and a dog"];

function network(source: number, target: number) {
  const encoderInputs = input({ shape: [null], dtype: "int32", name: "source" });
  const read = layers.embedding({ inputDim: source, outputDim: 8, maskZero: true })(encoderInputs);
  const [, h, c] = layers.lstm({ units: 8, returnState: true })(read);
  const decoderInputs = input({ shape: [null], dtype: "int32", name: "target" });
  const written = layers.embedding({ inputDim: target, outputDim: 8, maskZero: true })(decoderInputs);
  const states = layers.lstm({ units: 8, returnSequences: true })(written, { initialState: [h, c] });
  const probabilities = layers.dense({ units: target, activation: "softmax" })(states);
  return model({ inputs: [encoderInputs, decoderInputs], outputs: probabilities });
}

test("translators over byte pairs train, stream, and come back from their folder", async (t) => {
  const source = await Tokenizer.train(lines, { type: "bpe", vocabularySize: 50, specialTokens: ["<2zh>"] });
  const target = await Tokenizer.train(lines, { type: "bpe", vocabularySize: 280, byteLevel: true });
  const translator = Seq2Seq.fromModel({
    model: network(source.vocabulary.size, target.vocabulary.size),
    source,
    target,
  });
  const pairs = lines.map((line) => [`<2zh> ${line}`, line] as const);
  await translator.fit(pairs, { epochs: 2, batchSize: 2, optimizer: "adam", seed: 1, verbose: "silent" });
  const folder = await mkdtemp(join(tmpdir(), "sconce-bpe-"));
  t.teardown(() => rm(folder, { recursive: true }));
  await translator.save(join(folder, "model"));
  const again = await Seq2Seq.load(join(folder, "model"));
  t.deepEqual(again.source.toJSON(), source.toJSON());
  t.deepEqual(again.target.toJSON(), target.toJSON());
  const options = { maxNewTokens: 40 };
  const results = await translator.generate(lines, options);
  t.deepEqual(await again.generate(lines, options), results);
  for (const [index, line] of lines.entries()) {
    let text = "";
    for await (const piece of again.stream(line, options)) text += piece;
    t.is(text, results[index]!.text);
  }
});

test("tokenizers without the special tokens that a translator needs are refused by name", async (t) => {
  const golden = new URL("../../golden/tokenizers/python.json", import.meta.url);
  const { tokenizers } = JSON.parse(readFileSync(golden, "utf8"));
  const read = (name: string, special: object = {}) =>
    Tokenizer.fromJSON({ format: "sconce-tokenizer", version: 2, special, tokenizer: tokenizers[name].document });
  const own = await Tokenizer.train(lines, { type: "bpe", vocabularySize: 50 });
  const wrap = (source: Tokenizer, target: Tokenizer) =>
    Seq2Seq.fromModel({ model: network(source.vocabulary.size, target.vocabulary.size), source, target });
  t.throws(() => wrap(own, read("gpt2")), { instanceOf: OptionError, message: /target has no begin token/ });
  t.throws(() => wrap(read("words", { padding: "<unk>" }), own), {
    instanceOf: OptionError,
    message: /padding "<unk>" of source must have id 0, got 1/,
  });
  t.notThrows(() => wrap(own, read("bert")));
});
