import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { adam, OptionError, type RecurrentSeq2SeqOptions, Seq2Seq, Tokenizer } from "../../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-recurrent-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** Words of other lengths, each written in capital letters. */
const pairs: [string, string][] = Array.from({ length: 160 }, (_, index) => {
  const word = ((index * 2654435761) % 4 ** 5).toString(4).replace(/\d/g, (digit) => "abcd"[Number(digit)]!);
  return [word, word.toUpperCase()];
});
const sources = Tokenizer.train(
  pairs.map(([source]) => source),
  { type: "character" },
);
const targets = Tokenizer.train(
  pairs.map(([, target]) => target),
  { type: "character" },
);
const joint = Tokenizer.train(pairs.flat(), { type: "character" });

async function made(options: Partial<RecurrentSeq2SeqOptions> = {}): Promise<Seq2Seq> {
  return Seq2Seq.recurrent({ source: await sources, target: await targets, units: 24, embeddingDim: 12, ...options });
}

/** Name and shapes of the weights of each layer that has some. */
function weightsOf({ model }: Seq2Seq): Record<string, (readonly number[])[]> {
  const layers = model.layers.filter(({ weights }) => weights.length > 0);
  return Object.fromEntries(layers.map(({ name, weights }) => [name, weights.map(({ shape }) => shape)]));
}

const quiet = { verbose: "silent", batchSize: 16, seed: 3 } as const;
const texts = ["ab", "", "abcda", "c", "dddd", "ab", "badc"];

const variants: [name: string, options: Partial<RecurrentSeq2SeqOptions>][] = [
  ["one layer", {}],
  ["two layers with dropout", { layers: 2, dropout: 0.1, recurrentDropout: 0.1 }],
  ["both directions, dense bridge", { bidirectional: true }],
  ["two layers in both directions", { layers: 2, bidirectional: true }],
  ["GRU", { cell: "gru", dropout: 0.1, outputDropout: 0.1 }],
  ["GRU in both directions, two layers", { cell: "gru", bidirectional: true, layers: 2, encoderUnits: 12 }],
  ["simple cells, dense bridge", { cell: "simple", bridge: "dense" }],
  ["both directions of half the size, last states", { bidirectional: true, encoderUnits: 12 }],
];

for (const [name, options] of variants) {
  test(`learns, translates, is saved and loaded: ${name}`, async (t) => {
    const translator = await made(options);
    const { history } = await translator.fit(pairs, { ...quiet, epochs: 10, optimizer: adam({ learningRate: 0.01 }) });
    t.true(history.loss!.at(-1)! < 0.8 * history.loss![0]!);
    const values = await translator.evaluate(pairs);
    t.true(values.tokenAccuracy! > 0.3 && values.exactMatch! >= 0 && values.exactMatch! <= 1);
    t.is(values.pairs, pairs.length);
    const results = await translator.generate(texts, { maxNewTokens: 8 });
    const recomputed = await translator.generate(texts, { maxNewTokens: 8, recompute: true });
    t.deepEqual(
      recomputed.map(({ text }) => text),
      results.map(({ text }) => text),
    );
    let streamed = "";
    for await (const piece of translator.stream(texts[2]!, { maxNewTokens: 8 })) streamed += piece;
    t.is(streamed, results[2]!.text);
    const place = join(folder, name.replaceAll(" ", "-").replaceAll(",", ""));
    await translator.save(place);
    await using again = await Seq2Seq.load(place);
    t.deepEqual(await again.generate(texts, { maxNewTokens: 8 }), results);
    t.deepEqual(await again.evaluate(pairs), values);
    translator.dispose();
  });
}

test("layers have names and sizes that follow from the options", async (t) => {
  const source = (await sources).vocabulary.size;
  const target = (await targets).vocabulary.size;
  t.deepEqual(weightsOf(await made()), {
    sourceEmbedding: [[source, 12]],
    encoder: [[12, 96], [24, 96], [96]],
    targetEmbedding: [[target, 12]],
    decoder: [[12, 96], [24, 96], [96]],
    probabilities: [[24, target], [target]],
  });
  const deep = weightsOf(await made({ layers: 2, encoderUnits: 16 }));
  t.deepEqual(Object.keys(deep).sort(), [
    "bridge1",
    "bridge2",
    "decoder1",
    "decoder2",
    "encoder1",
    "encoder2",
    "memoryBridge1",
    "memoryBridge2",
    "probabilities",
    "sourceEmbedding",
    "targetEmbedding",
  ]);
  t.deepEqual(deep.encoder2, [[16, 64], [16, 64], [64]]);
  t.deepEqual(deep.bridge2, [[16, 24], [24]]);
  t.false(Object.keys(weightsOf(await made({ bidirectional: true, encoderUnits: 12 }))).includes("bridge"));
  const both = weightsOf(await made({ cell: "gru", bidirectional: true }));
  t.deepEqual(both.encoder, [
    [12, 72],
    [24, 72],
    [2, 72],
    [12, 72],
    [24, 72],
    [2, 72],
  ]);
  t.deepEqual(both.bridge, [[48, 24], [24]]);
  t.is(both.memoryBridge, undefined);
});

test("tied embeddings are one table that both sides train", async (t) => {
  const own = await joint;
  const translator = await made({ source: own, target: own, tiedEmbeddings: true });
  t.deepEqual(weightsOf(translator).embedding, [[own.vocabulary.size, 12]]);
  t.is(Object.keys(weightsOf(translator)).filter((name) => name.includes("mbedding")).length, 1);
  const { history } = await translator.fit(pairs, { ...quiet, epochs: 3, optimizer: "adam" });
  t.true(history.loss!.at(-1)! < history.loss![0]!);
  const equal = Tokenizer.fromJSON(JSON.parse(JSON.stringify(own)));
  await t.notThrowsAsync(made({ source: own, target: equal, tiedEmbeddings: true }));
});

test("calls of generate at the same time are decoded together, and get what they would get alone", async (t) => {
  const translator = await made();
  await translator.fit(pairs, { ...quiet, epochs: 4, optimizer: "adam" });
  const handle = translator.model.handle();
  const native = handle.generate.bind(handle);
  let calls = 0;
  handle.generate = (...parameters) => {
    calls += 1;
    return native(...parameters);
  };
  const asked = pairs.slice(0, 40).map(([source]) => source);
  const alone = [];
  for (const text of asked) alone.push((await translator.generate([text], { maxNewTokens: 8 }))[0]);
  t.is(calls, asked.length);
  calls = 0;
  const together = await Promise.all(asked.map((text) => translator.generate([text], { maxNewTokens: 8 })));
  t.deepEqual(
    together.map(([result]) => result),
    alone,
  );
  t.is(calls, 2);
});

test("options that are wrong or do not fit are errors that say what to do", async (t) => {
  const cases: [options: object, message: RegExp][] = [
    [{ units: 0 }, /units must be an integer of at least 1/],
    [{ unit: 4 }, /unknown option "unit"/],
    [{ source: {} }, /source must be a Tokenizer/],
    [{ layers: 1.5 }, /layers must be an integer/],
    [{ dropout: 1 }, /dropout must be below 1/],
    [{ recurrentDropout: -1 }, /recurrentDropout must be a number from 0 to 1/],
    [{ outputDropout: 1 }, /outputDropout must be below 1/],
    [{ cell: "transformer" }, /cell must be one of lstm, gru, simple/],
    [{ attention: "dots" }, /attention must be one of none/],
    [{ attention: "luong", cell: "simple" }, /attention "luong" is for the cells lstm and gru, got "simple"/],
    [
      { attention: "dot", encoderUnits: 12 },
      /needs encoder outputs of the decoder's 24 units, got 12: set encoderUnits/,
    ],
    [{ bridge: "none" }, /bridge must be one of lastState, dense/],
    [{ bidirectional: true, bridge: "lastState" }, /got 48 from both directions: set encoderUnits/],
    [{ tiedEmbeddings: true }, /tiedEmbeddings needs one tokenizer/],
    [{ source: await joint, target: await joint, tiedEmbeddings: true, targetEmbeddings: "zeros" }, /the only table/],
    [{ name: "a/b" }, /name must be a string/],
  ];
  for (const [options, message] of cases) {
    await t.throwsAsync(made(options as Partial<RecurrentSeq2SeqOptions>), { instanceOf: OptionError, message });
  }
  t.throws(() => Seq2Seq.recurrent(undefined as unknown as RecurrentSeq2SeqOptions), { instanceOf: OptionError });
});
