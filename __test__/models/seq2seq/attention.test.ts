/** Recurrent translators whose decoder looks at the steps of the encoder. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  adam,
  GraphError,
  input,
  layers,
  model,
  ndarray,
  type RecurrentSeq2SeqOptions,
  Seq2Seq,
  type SymbolicTensor,
  Tokenizer,
} from "../../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-recurrent-attention-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const pairs: [string, string][] = Array.from({ length: 32 }, (_, index) => {
  const word = ((index * 2654435761) % 4 ** 5).toString(4).replace(/\d/g, (digit) => "abcd"[Number(digit)]!);
  return [word, [...word].reverse().join("")];
});
const trained = Tokenizer.train(pairs.flat(), { type: "character" });

const variants: Partial<RecurrentSeq2SeqOptions>[] = [
  { attention: "dot" },
  { attention: "luong", cell: "gru", bidirectional: true },
  { attention: "bahdanau" },
  { attention: "bahdanau", cell: "gru", layers: 2, tiedEmbeddings: true, dropout: 0.05, recurrentDropout: 0.05 },
  { attention: "luong", layers: 2, bidirectional: true, encoderUnits: 16 },
  { attention: "luong", layers: 2, inputFeeding: "firstLayer" },
  { attention: "dot", layers: 3, cell: "gru", inputFeeding: "firstLayer", dropout: 0.02, recurrentDropout: 0.02 },
];

for (const options of variants) {
  test(`overfits 32 pairs, decodes step by step, is saved and loaded: ${JSON.stringify(options)}`, async (t) => {
    const tokenizer = await trained;
    const translator = Seq2Seq.recurrent({
      source: tokenizer,
      target: tokenizer,
      units: 32,
      embeddingDim: 16,
      ...options,
    });
    const { history } = await translator.fit(pairs, {
      verbose: "silent",
      batchSize: 16,
      seed: 3,
      epochs: 150,
      optimizer: adam({ learningRate: 0.01 }),
    });
    t.true(history.loss!.at(-1)! < 0.1 * history.loss![0]!, `${history.loss![0]} to ${history.loss!.at(-1)}`);
    const texts = pairs.map(([word]) => word);
    const results = await translator.generate(texts);
    const right = results.filter(({ text }, index) => text === pairs[index]![1]).length;
    t.true(right >= 28, `${right} of 32`);
    const recomputed = await translator.generate(texts, { recompute: true });
    t.deepEqual(
      recomputed.map(({ text }) => text),
      results.map(({ text }) => text),
    );
    // Beside longer and shorter sources a source is padded otherwise.
    const [alone] = await translator.generate([texts[0]!]);
    t.deepEqual(alone!.text, results[0]!.text);
    t.true(Math.abs(alone!.score - results[0]!.score) < 1e-4);
    const place = join(folder, JSON.stringify(options).replaceAll(/\W/g, "-"));
    await translator.save(place);
    await using again = await Seq2Seq.load(place);
    t.deepEqual(await again.generate(texts), results);
    translator.dispose();
  });
}

test("results say what they look at: shares of the source's tokens for each token", async (t) => {
  const tokenizer = await trained;
  const sides = { source: tokenizer, target: tokenizer };
  const small = { dModel: 16, heads: 2, ffn: 16, encoderLayers: 1, decoderLayers: 2, dropout: 0 };
  const made: [name: string, translator: Seq2Seq][] = [
    ["luong", Seq2Seq.recurrent({ ...sides, units: 8, attention: "luong" })],
    ["bahdanau", Seq2Seq.recurrent({ ...sides, units: 8, attention: "bahdanau", layers: 2 })],
    ["stack", Seq2Seq.recurrent({ ...sides, units: 8, attention: "dot", layers: 2, inputFeeding: "firstLayer" })],
    ["transformer", Seq2Seq.transformer({ ...sides, ...small })],
  ];
  const texts = ["abcd", "", "a", "ddcba"];
  for (const [name, translator] of made) {
    await translator.fit(pairs, {
      verbose: "silent",
      batchSize: 16,
      seed: 3,
      epochs: 3,
      optimizer: adam({ learningRate: 0.01 }),
    });
    const options = { maxNewTokens: 6 };
    const results = await translator.generate(texts, { ...options, outputAttentions: true });
    const plain = await translator.generate(texts, options);
    t.true(
      results.some(({ tokens }) => tokens.length > 0),
      name,
    );
    for (const [index, { attention, ...result }] of results.entries()) {
      t.deepEqual(result, plain[index], name);
      t.is(attention!.length, result.tokens.length, name);
      const sources = tokenizer.encode(texts[index]!).length;
      for (const shares of attention!) {
        // The end token of the source is read too.
        t.is(shares.length, sources + 1, name);
        const sum = shares.reduce((total, share) => total + share, 0);
        t.true(Math.abs(sum - 1) < 1e-5, `${name}: ${sum}`);
      }
      // Nothing changes beside other texts.
      const [alone] = await translator.generate([texts[index]!], { ...options, outputAttentions: true });
      for (const [step, shares] of attention!.entries()) {
        t.true(
          shares.every((share, at) => Math.abs(share - alone!.attention![step]![at]!) < 1e-5),
          name,
        );
      }
    }
    translator.dispose();
  }
});

test("attentions of the recurrent layer are those that it shows itself", async (t) => {
  const tokenizer = await trained;
  const { size } = tokenizer.vocabulary;
  const [source, target] = [0, 1].map(() => input({ shape: [null], dtype: "int32" })) as [
    SymbolicTensor,
    SymbolicTensor,
  ];
  const embed = () => layers.embedding({ inputDim: size, outputDim: 6, maskZero: true });
  const layer = layers.attentionRnn({ units: 6, returnSequences: true, returnAttentionScores: true });
  const [states, shares] = layer(embed()(target), embed()(source));
  const probabilities = layers.dense({ units: size, activation: "softmax" })(states);
  const shown = model({ inputs: [source, target], outputs: shares! });
  const whole = model({ inputs: [source, target], outputs: probabilities });
  const translator = Seq2Seq.fromModel({ model: whole, source: tokenizer, target: tokenizer });
  const quiet = { verbose: "silent", batchSize: 16, seed: 3 } as const;
  await translator.fit(pairs, { ...quiet, epochs: 20, optimizer: adam({ learningRate: 0.03 }) });
  const text = pairs[0]![0];
  const [result] = await translator.generate([text], { maxNewTokens: 5, outputAttentions: true });
  const { begin } = tokenizer.vocabulary;
  const before = [begin, ...result!.tokens.slice(0, -1).map((token) => tokenizer.vocabulary.id(token))];
  const ids = [...tokenizer.encode(text), tokenizer.vocabulary.end];
  const expected = await shown.predict([
    ndarray(Int32Array.from(ids), [1, ids.length]),
    ndarray(Int32Array.from(before), [1, before.length]),
  ]);
  const found = result!.attention!.flatMap((row) => [...row]);
  t.true(found.length > 0);
  t.is(found.length, expected.data.length);
  t.true(found.every((share, at) => Math.abs(share - expected.data[at]!) < 1e-6));
  whole.dispose();
  const blind = Seq2Seq.recurrent({ source: tokenizer, target: tokenizer, units: 4 });
  await t.throwsAsync(blind.generate(["ab"], { outputAttentions: true, maxNewTokens: 2 }), {
    instanceOf: GraphError,
    message: /no layer of the decoder attends to another sequence/,
  });
  blind.dispose();
});

test("the attention sits in the last decoder layer, of Bahdanau in the first", async (t) => {
  const tokenizer = await trained;
  const types = (attention: "luong" | "bahdanau") => {
    const made = Seq2Seq.recurrent({ source: tokenizer, target: tokenizer, units: 4, layers: 2, attention });
    return made.model.layers.filter(({ name }) => name.startsWith("decoder")).map(({ name, type }) => [name, type]);
  };
  t.deepEqual(types("luong"), [
    ["decoder1", "lstm"],
    ["decoder2", "attentionRnn"],
  ]);
  t.deepEqual(types("bahdanau"), [
    ["decoder1", "attentionRnn"],
    ["decoder2", "lstm"],
  ]);
});

test("what is fed to the first layer makes all decoder layers one", async (t) => {
  const tokenizer = await trained;
  const made = (options: Partial<RecurrentSeq2SeqOptions>) =>
    Seq2Seq.recurrent({ source: tokenizer, target: tokenizer, units: 4, layers: 3, attention: "luong", ...options });
  const of = (translator: Seq2Seq) => translator.model.layers.filter(({ name }) => name.startsWith("decoder"));
  const [decoder, ...more] = of(made({ inputFeeding: "firstLayer", dropout: 0.1 }));
  t.deepEqual(more, []);
  t.like(decoder!.options, { layers: 3, units: 4, attention: "general", dropout: 0.1 });
  t.deepEqual(
    of(made({ inputFeeding: "firstLayer", layers: 1 })).map(({ type, options }) => [type, options.layers]),
    [["attentionRnn", undefined]],
  );
  t.is(of(made({ inputFeeding: "lastLayer" })).length, 3);
  t.throws(() => made({ attention: "bahdanau", inputFeeding: "firstLayer" }), {
    message: /inputFeeding is for attention "dot" and "luong", got "bahdanau"/,
  });
  t.throws(() => made({ inputFeeding: "both" as "firstLayer" }), { message: /inputFeeding must be one of lastLayer/ });
});
