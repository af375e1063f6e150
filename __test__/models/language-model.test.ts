import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { View } from "../../src/data/view.ts";
import {
  adam,
  DataError,
  FormatError,
  GraphError,
  input,
  LanguageModel,
  type LanguageModelOptions,
  layers,
  model,
  OptionError,
  type RecurrentLanguageModelOptions,
  StateError,
  Tokenizer,
  type TransformerLanguageModelOptions,
} from "../../src/index.ts";
import { type Block, TokenStream } from "../../src/models/language-model/blocks.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-language-model-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** The letters go on in their order, from any of them. */
const texts = Array.from({ length: 24 }, (_, index) =>
  "abcdefgh".repeat(3).slice(index % 8, (index % 8) + 5 + (index % 7)),
);
const tokenizer = Tokenizer.train(texts, { type: "character" });

const quiet = { verbose: "silent", contextLength: 16, batchSize: 4, seed: 3 } as const;

const makers: [name: string, make: () => Promise<LanguageModel>][] = [
  ["Transformer", async () => LanguageModel.transformer({ tokenizer: await tokenizer, ...small, dropout: 0.05 })],
  [
    "Transformer, own scores, learned places, normalised after",
    async () =>
      LanguageModel.transformer({
        tokenizer: await tokenizer,
        ...small,
        tiedEmbeddings: false,
        positions: "learned",
        normalizeFirst: false,
      }),
  ],
  [
    "Transformer, buckets of distances",
    async () =>
      LanguageModel.transformer({
        tokenizer: await tokenizer,
        ...small,
        positions: "buckets",
        positionBuckets: 5,
        positionMaxDistance: 9,
      }),
  ],
  [
    "Transformer, windows, caps and gates",
    async () =>
      LanguageModel.transformer({
        tokenizer: await tokenizer,
        ...small,
        slidingWindow: [4, 9],
        logitSoftCap: 4,
        useGate: true,
      }),
  ],
  [
    "Transformer, fixed slopes of distances",
    async () => LanguageModel.transformer({ tokenizer: await tokenizer, ...small, positions: "alibi" }),
  ],
  ["LSTM", async () => LanguageModel.recurrent({ tokenizer: await tokenizer, units: 32 })],
  [
    "GRU with one table",
    async () =>
      LanguageModel.recurrent({ tokenizer: await tokenizer, units: 32, cell: "gru", layers: 1, tiedEmbeddings: true }),
  ],
];

const small = { dModel: 32, heads: 4, ffn: 64, layers: 2, dropout: 0 } as const;

for (const [name, make] of makers) {
  test(`learns how texts go on, is saved and loaded: ${name}`, async (t) => {
    await using writer = await make();
    const untrained = await make();
    await t.throwsAsync(untrained.evaluate(texts), { instanceOf: StateError });
    untrained.dispose();
    const { history } = await writer.fit(texts, {
      ...quiet,
      epochs: 60,
      optimizer: adam({ learningRate: 0.01 }),
      validation: texts.slice(0, 4),
    });
    t.true(history.loss!.at(-1)! < 0.6 * history.loss![0]!, `${history.loss!.at(-1)}`);
    t.is(history.valPerplexity!.length, 60);
    const values = await writer.evaluate(texts, { contextLength: 16, batchSize: 3 });
    t.is(
      values.tokens,
      texts.reduce((sum, text) => sum + text.length + 1, 0),
    );
    t.true(Math.abs(Math.log(values.perplexity) - values.loss) < 1e-6);
    t.true(values.tokenAccuracy > 0.6, `${values.tokenAccuracy}`);
    const other = await writer.evaluate(texts, { contextLength: 16, batchSize: 8 });
    t.true(Math.abs(other.loss - values.loss) < 1e-5, "the size of batches changes nothing");
    const prompts = ["ab", "", "defg", "c", "ab"];
    const results = await writer.generate(prompts, { maxNewTokens: 6 });
    t.true("cdefgh".startsWith(results[0]!.text.slice(0, 2)), results[0]!.text);
    t.deepEqual(results[4], results[0]);
    const recomputed = await writer.generate(prompts, { maxNewTokens: 6, recompute: true });
    for (const [index, { text, score }] of recomputed.entries()) {
      t.is(text, results[index]!.text);
      t.true(Math.abs(score - results[index]!.score) < 1e-3);
    }
    const alone = await Promise.all(prompts.map((prompt) => writer.generate([prompt], { maxNewTokens: 6 })));
    t.deepEqual(
      alone.map(([result]) => result!.text),
      results.map(({ text }) => text),
    );
    let streamed = "";
    for await (const piece of writer.stream("defg", { maxNewTokens: 6 })) streamed += piece;
    t.is(streamed, results[2]!.text);
    const place = join(folder, name.replaceAll(" ", "-").replaceAll(",", ""));
    await writer.save(place);
    await using again = await LanguageModel.load(place);
    t.deepEqual(await again.generate(prompts, { maxNewTokens: 6 }), results);
    t.deepEqual(await again.evaluate(texts, { contextLength: 16, batchSize: 3 }), values);
  });
}

test("a functional model is wrapped, and one that does not fit is an error that says why", async (t) => {
  const own = await tokenizer;
  const size = own.vocabulary.size;
  const ids = input({ shape: [null], dtype: "int32" });
  const embedded = (maskZero: boolean) => layers.embedding({ inputDim: size, outputDim: 6, maskZero })(ids);
  const scored = (x: ReturnType<typeof embedded>, units = size) =>
    model({ inputs: ids, outputs: layers.dense({ units, activation: "softmax" })(x) });
  const gru = () => layers.gru({ units: 6, returnSequences: true });
  await using wrapped = LanguageModel.fromModel({ model: scored(gru()(embedded(true))), tokenizer: own });
  const [result] = await wrapped.generate(["a"], { maxNewTokens: 3 });
  t.true(result!.score < 0);
  const both = layers.bidirectional({ layer: gru() });
  const cases: [options: object, error: typeof GraphError | typeof OptionError, message: RegExp][] = [
    [{ model: scored(both(embedded(true))) }, GraphError, /both directions/],
    [{ model: scored(gru()(embedded(false))) }, GraphError, /the output has no mask/],
    [{ model: scored(gru()(embedded(true)), 5) }, GraphError, /expected one output \[batch, time, \d+\]/],
    [{ model: {} }, OptionError, /model must be a model made by model\(\)/],
    [{ tokenizer: {} }, OptionError, /tokenizer must be a Tokenizer/],
    [{ endToken: "zz" }, OptionError, /endToken "zz" is not in the vocabulary/],
    [{ end: 3 }, OptionError, /unknown option "end"/],
  ];
  for (const [options, instanceOf, message] of cases) {
    const all = { model: wrapped.model, tokenizer: own, ...options } as LanguageModelOptions;
    t.throws(() => LanguageModel.fromModel(all), { instanceOf, message });
  }
});

test("parts of a stream are read side by side, each token once", async (t) => {
  const own = await tokenizer;
  const stream = await TokenStream.of(texts, own, { end: own.vocabulary.end, signal: undefined });
  const all = async ({ length, at }: View<Block>) => Promise.all(Array.from({ length }, (_, index) => at(index)));
  const [{ next: whole }] = (await all(stream.blocks(stream.tokens))) as [Block];
  for (const rows of [1, 2, 7, whole.length, 2 * whole.length]) {
    for (const size of [1, 5, whole.length]) {
      const blocks = await all(stream.streams(size, rows));
      t.is(blocks.length % rows, 0);
      const parts: number[][] = Array.from({ length: rows }, () => []);
      for (const [index, { read, next }] of blocks.entries()) {
        const part = parts[index % rows]!;
        if (next.length > 0) t.deepEqual([...read], [part.at(-1) ?? read[0]!, ...next.slice(0, -1)]);
        part.push(...next);
        // Nothing is learnt from a batch without any tokens.
        if (index % rows === 0) t.true(next.length > 0);
      }
      t.deepEqual(parts.flat(), [...whole]);
    }
  }
});

test("stateful layers know what was before a block", async (t) => {
  const own = await tokenizer;
  const sizes = { tokenizer: own, units: 16, dropout: 0.1 } as const;
  await using stateful = LanguageModel.recurrent({ ...sizes, stateful: true });
  await using plain = LanguageModel.recurrent(sizes);
  const options = { verbose: "silent", contextLength: 3, batchSize: 4, seed: 3 } as const;
  const learning = { ...options, epochs: 8, optimizer: adam({ learningRate: 0.02 }), validation: texts };
  const { history } = await stateful.fit(texts, learning);
  t.true(history.loss!.at(-1)! < 0.7 * history.loss![0]!);
  await plain.fit(texts.slice(0, 1), options);
  await plain.model.setWeights(await stateful.model.getWeights());
  const whole = await plain.evaluate(texts, { contextLength: 1000, batchSize: 1 });
  for (const contextLength of [3, 50, 1000]) {
    const { loss, tokens } = await stateful.evaluate(texts, { contextLength, batchSize: 1 });
    t.true(Math.abs(loss - whole.loss) < 1e-5, `${contextLength}: ${loss}, ${whole.loss}`);
    t.is(tokens, whole.tokens);
  }
  t.true((await plain.evaluate(texts, { contextLength: 3, batchSize: 1 })).loss > whole.loss + 0.01);
  const sideBySide = await stateful.evaluate(texts, { contextLength: 3, batchSize: 4 });
  t.true(Math.abs(history.valPerplexity!.at(-1)! - sideBySide.perplexity) < 1e-4);
  // Writing begins with zeros, whatever was read before.
  const written = await stateful.generate(["abc", ""], { maxNewTokens: 5 });
  t.deepEqual(written, await plain.generate(["abc", ""], { maxNewTokens: 5 }));
});

test("options and data that are wrong are errors that say what was expected", async (t) => {
  const own = await tokenizer;
  const transformer: [options: Partial<TransformerLanguageModelOptions>, message: RegExp][] = [
    [{ dModel: 30 }, /LanguageModel.transformer: heads must divide dModel/],
    [{ layers: 0 }, /layers must be an integer of at least 1/],
    [{ tiedEmbeddings: "all" as unknown as boolean }, /tiedEmbeddings must be true or false/],
    [{ units: 3 } as object, /unknown option "units"/],
  ];
  for (const [options, message] of transformer) {
    t.throws(() => LanguageModel.transformer({ tokenizer: own, ...options }), { instanceOf: OptionError, message });
  }
  const recurrent: [options: Partial<RecurrentLanguageModelOptions>, message: RegExp][] = [
    [{ units: 8, embeddingDim: 4, tiedEmbeddings: true }, /tiedEmbeddings needs embeddingDim to be units, got 4 and 8/],
    [{ cell: "rnn" as "gru" }, /cell must be one of lstm, gru, simple/],
    [{ dropout: 1 }, /dropout must be below 1/],
    [{ stateful: "yes" as unknown as boolean }, /stateful must be true or false/],
  ];
  for (const [options, message] of recurrent) {
    t.throws(() => LanguageModel.recurrent({ tokenizer: own, ...options }), { instanceOf: OptionError, message });
  }
  await using writer = LanguageModel.recurrent({ tokenizer: own, units: 8, layers: 1 });
  await t.throwsAsync(writer.fit([]), { instanceOf: DataError, message: /there are no texts/ });
  await t.throwsAsync(writer.fit(5 as unknown as string[]), { instanceOf: OptionError, message: /expected texts/ });
  await t.throwsAsync(writer.fit(texts, { contextLength: 0 }), { instanceOf: OptionError, message: /contextLength/ });
  await t.throwsAsync(writer.fit(texts, { context: 3 } as object), {
    instanceOf: OptionError,
    message: /unknown option/,
  });
  await t.throwsAsync(writer.generate("a" as unknown as string[]), {
    instanceOf: OptionError,
    message: /list of prompts/,
  });
  const stopped = AbortSignal.abort(new Error("enough"));
  await t.throwsAsync(writer.fit(texts, { signal: stopped }), { message: "enough" });
  await writer.model.build();
  const place = join(folder, "damaged");
  await writer.save(place);
  for (const [content, message] of [
    ["{", /is no JSON/],
    ["{}", /the format is not/],
    ['{"format":"sconce-language-model","version":2}', /version 2 is not known/],
    [
      JSON.stringify({ format: "sconce-language-model", version: 1, tokenizer: own.toJSON(), end: -1 }),
      /end must be an integer/,
    ],
  ] as const) {
    writeFileSync(join(place, "language-model.json"), content);
    await t.throwsAsync(LanguageModel.load(place), { instanceOf: FormatError, message });
  }
});
