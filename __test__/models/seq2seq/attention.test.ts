/** Recurrent translators whose decoder looks at the steps of the encoder. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { adam, type RecurrentSeq2SeqOptions, Seq2Seq, Tokenizer } from "../../../src/index.ts";

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
  { attention: "bahdanau", cell: "gru", layers: 2, tiedEmbeddings: true, dropout: 0.05 },
  { attention: "luong", layers: 2, bidirectional: true, encoderUnits: 16 },
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
