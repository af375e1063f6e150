import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  adam,
  DataError,
  type MultiOutputModel,
  ndarray,
  OptionError,
  optimizers,
  Seq2Seq,
  type SingleOutputModel,
  Tokenizer,
  type TransformerPresetName,
  type TransformerSeq2SeqOptions,
} from "../../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-transformer-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** Words of other lengths, each written from its end in capital letters. */
const pairs: [string, string][] = Array.from({ length: 32 }, (_, index) => {
  const word = ((index * 2654435761) % 4 ** 5).toString(4).replace(/\d/g, (digit) => "abcd"[Number(digit)]!);
  return [word, [...word.toUpperCase()].reverse().join("")];
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

const small = { dModel: 32, heads: 4, ffn: 64, encoderLayers: 2, decoderLayers: 2, dropout: 0 } as const;

async function made(options: Partial<TransformerSeq2SeqOptions> = {}): Promise<Seq2Seq> {
  return Seq2Seq.transformer({ source: await sources, target: await targets, ...small, ...options });
}

const quiet = { verbose: "silent", batchSize: 16, seed: 3 } as const;
const texts = ["ab", "", "abcda", "c", "dddd", "ab", "badc"];

const variants: [name: string, options: Partial<TransformerSeq2SeqOptions>, rate: number, least?: number][] = [
  ["normalised first", {}, 0.005],
  ["normalised after", { normalizeFirst: false }, 0.003],
  ["turned by positions", { positions: "rotary", encoderLayers: 1 }, 0.005],
  ["buckets of distances", { positions: "buckets", positionBuckets: 8, positionMaxDistance: 6 }, 0.005],
  // An encoder that only knows distances does not know in which direction they are.
  ["fixed slopes of distances", { positions: "alibi", tiedEmbeddings: "target" }, 0.005, 0.4],
  [
    "windows, caps and gates",
    { slidingWindow: [3, null], logitSoftCap: 5, useGate: true, positions: "rotary", normalizeFirst: false },
    0.003,
  ],
  [
    "tied, GELU, learned places, dropout",
    { tiedEmbeddings: "target", activation: "gelu", positions: "learned", maxLength: 12, dropout: 0.05 },
    0.005,
  ],
  [
    "sines first, all kinds of dropout",
    { positions: "sinusoidalHalves", attentionDropout: 0.05, activationDropout: 0.05 },
    0.005,
  ],
];

for (const [name, options, learningRate, least = 0.9] of variants) {
  test(`learns pairs by heart, decodes, is saved and loaded: ${name}`, async (t) => {
    await using translator = await made(options);
    const { history } = await translator.fit(pairs, { ...quiet, epochs: 80, optimizer: adam({ learningRate }) });
    t.true(history.loss!.at(-1)! < 0.2 * history.loss![0]!, `${history.loss!.at(-1)}`);
    const values = await translator.evaluate(pairs);
    t.true(values.exactMatch! > least, `${values.exactMatch}`);
    const results = await translator.generate(texts, { maxNewTokens: 8 });
    const recomputed = await translator.generate(texts, { maxNewTokens: 8, recompute: true });
    for (const [index, { text, score }] of recomputed.entries()) {
      t.is(text, results[index]!.text);
      t.true(Math.abs(score - results[index]!.score) < 1e-3);
    }
    let streamed = "";
    for await (const piece of translator.stream(texts[2]!, { maxNewTokens: 8 })) streamed += piece;
    t.is(streamed, results[2]!.text);
    const place = join(folder, name.replaceAll(" ", "-").replaceAll(",", ""));
    await translator.save(place);
    await using again = await Seq2Seq.load(place);
    t.deepEqual(await again.generate(texts, { maxNewTokens: 8 }), results);
    t.deepEqual(await again.evaluate(pairs), values);
  });
}

test("padding changes nothing", async (t) => {
  await using translator = await made();
  await translator.model.build({ seed: 1 });
  const padded = (length: number, rows: number[][]) =>
    ndarray(Int32Array.from(rows.flatMap((row) => [...row, ...Array(length - row.length).fill(0)])), [
      rows.length,
      length,
    ]);
  const [read, written] = [
    [
      [4, 5, 6, 3],
      [5, 3],
    ],
    [
      [2, 6],
      [2, 4, 5],
    ],
  ];
  const model = translator.model as SingleOutputModel;
  const short = await model.predict([padded(4, read!), padded(3, written!)]);
  const long = await model.predict([padded(9, read!), padded(7, written!)]);
  const classes = short.shape[2]!;
  for (const [row, { length }] of written!.entries()) {
    for (let at = 0; at < length * classes; at++) {
      const difference = short.data[row * 3 * classes + at]! - long.data[row * 7 * classes + at]!;
      t.true(Math.abs(difference) < 1e-6);
    }
  }
});

test("every weight has a finite gradient, which is zero for the biases of keys alone", async (t) => {
  for (const normalizeFirst of [true, false]) {
    await using translator = await made({
      normalizeFirst,
      positions: "learned",
      maxLength: 8,
      tiedEmbeddings: "target",
    });
    const { model } = translator;
    model.compile({ optimizer: optimizers.sgd({ learningRate: 1 }), loss: "sparseCategoricalCrossentropy" });
    await model.build({ seed: 5 });
    const before = await model.getWeights();
    const names = model.layers.flatMap((layer) => layer.weights.map((weight) => `${layer.name}/${weight.name}`));
    await (model as unknown as MultiOutputModel).trainOnBatch(
      [ndarray(Int32Array.from([4, 5, 3, 6, 3, 0]), [2, 3]), ndarray(Int32Array.from([2, 4, 5, 2, 6, 0]), [2, 3])],
      ndarray(Int32Array.from([4, 5, 3, 6, 3, 0]), [2, 3]),
    );
    const after = await model.getWeights();
    t.is(names.length, before.length);
    for (const [index, { data }] of after.entries()) {
      const steps = data.map((value, at) => value - before[index]!.data[at]!);
      t.true(steps.every(Number.isFinite), names[index]);
      const largest = steps.reduce((most, step) => Math.max(most, Math.abs(step)), 0);
      if (names[index]!.endsWith("key/bias")) t.true(largest < 1e-6, names[index]);
      else t.true(largest > 0, names[index]);
    }
  }
});

test("layers have names and sizes that follow from the options", async (t) => {
  const [own, source, target] = [await joint, (await sources).vocabulary.size, (await targets).vocabulary.size];
  const tables = (translator: Seq2Seq) =>
    Object.fromEntries(
      translator.model.layers
        .filter(({ name, weights }) => /mbedding|probabilities/.test(name) && weights.length > 0)
        .map(({ name, weights }) => [name, weights.map(({ shape }) => [...shape])]),
    );
  t.deepEqual(tables(await made()), {
    sourceEmbedding: [[source, 32]],
    targetEmbedding: [[target, 32]],
    probabilities: [[32, target], [target]],
  });
  t.deepEqual(tables(await made({ tiedEmbeddings: "target", outputBias: false })), {
    sourceEmbedding: [[source, 32]],
    targetEmbedding: [[target, 32]],
  });
  const size = own.vocabulary.size;
  const both = { source: own, target: own };
  t.deepEqual(tables(await made({ ...both, tiedEmbeddings: "inputs" })), {
    embedding: [[size, 32]],
    probabilities: [[32, size], [size]],
  });
  const all = await made({ ...both, tiedEmbeddings: "all" });
  t.deepEqual(tables(all), { embedding: [[size, 32], [size]] });
  const encoder = all.model.layers.find(({ name }) => name === "encoder2")!;
  t.deepEqual(
    encoder.weights.map(({ name, shape }) => [name, shape.join()]),
    [
      ...["query", "key", "value", "attentionOutput"].flatMap((part) => [
        [`selfAttention/${part}/kernel`, "32,32"],
        [`selfAttention/${part}/bias`, "32"],
      ]),
      ["selfAttentionLayerNorm/gamma", "32"],
      ["selfAttentionLayerNorm/beta", "32"],
      ["feedforwardLayerNorm/gamma", "32"],
      ["feedforwardLayerNorm/beta", "32"],
      ["feedforwardIntermediateDense/kernel", "32,64"],
      ["feedforwardIntermediateDense/bias", "64"],
      ["feedforwardOutputDense/kernel", "64,32"],
      ["feedforwardOutputDense/bias", "32"],
    ],
  );
  t.true(all.model.layers.some(({ name }) => name === "decoderNormalization"));
  const { history } = await all.fit(pairs, { ...quiet, epochs: 4, optimizer: adam({ learningRate: 0.005 }) });
  t.true(history.loss!.at(-1)! < history.loss![0]!);
});

test("layers of a side share one table of distances", async (t) => {
  const distances = (translator: Seq2Seq) =>
    translator.model.layers
      .filter(({ type }) => type === "relativePositionBias")
      .map(({ name, weights, options }) => [name, options.bidirectional, weights.map(({ shape }) => shape.join())]);
  t.deepEqual(distances(await made({ positions: "buckets" })), [
    ["sourceDistances", true, ["32,4"]],
    ["targetDistances", false, ["32,4"]],
  ]);
  t.deepEqual(distances(await made({ positions: "alibi" })), [
    ["sourceDistances", true, []],
    ["targetDistances", false, []],
  ]);
  t.deepEqual(distances(await made({ positions: "rotary" })), []);
});

test("windows go round the layers of each side, caps and gates are in all of them", async (t) => {
  const limits = async (options: Partial<TransformerSeq2SeqOptions>) =>
    (await made({ encoderLayers: 3, ...options })).model.layers
      .filter(({ type }) => type.startsWith("transformer"))
      .map(({ name, options: { slidingWindow, logitSoftCap, useGate } }) => [
        name,
        slidingWindow,
        logitSoftCap,
        useGate,
      ]);
  const all = ["encoder1", "encoder2", "encoder3", "decoder1", "decoder2"];
  const none = undefined;
  t.deepEqual(
    (await limits({ slidingWindow: [4, null], logitSoftCap: 30 })).sort(),
    all.map((name) => [name, name.endsWith("2") ? none : 4, 30, none]).sort(),
  );
  t.deepEqual((await limits({ slidingWindow: 2 })).sort(), all.map((name) => [name, 2, none, none]).sort());
  const off = { slidingWindow: null, logitSoftCap: null, useGate: false };
  t.deepEqual((await limits(off)).sort(), all.map((name) => [name, none, none, none]).sort());
  const gated = (await made({ useGate: true })).model.layers.find(({ name }) => name === "decoder1")!;
  t.deepEqual(
    gated.weights.filter(({ name }) => name.includes("/gate/")).map(({ name, shape }) => [name, shape.join()]),
    ["self", "cross"].flatMap((part) => [
      [`${part}Attention/gate/kernel`, "32,32"],
      [`${part}Attention/gate/bias`, "32"],
    ]),
  );
});

test("presets are sizes and a recipe, and what is said besides wins", async (t) => {
  const { model, fit } = Seq2Seq.preset("transformer-tiny");
  t.is(model.dModel, 128);
  t.deepEqual([model.encoderLayers, model.decoderLayers, model.ffn, model.heads, model.dropout], [4, 4, 256, 4, 0.3]);
  t.deepEqual([fit.batchTokens, fit.labelSmoothing], [4096, 0.1]);
  t.not(fit.optimizer, Seq2Seq.preset("transformer-tiny").fit.optimizer);
  t.is(Seq2Seq.preset("transformer-base").model.ffn, 2048);
  const translator = Seq2Seq.transformer({
    source: await sources,
    target: await targets,
    preset: "transformer-small",
    encoderLayers: 1,
    normalizeFirst: true,
    dModel: 64,
    ffn: 16,
  });
  const names = translator.model.layers.map(({ name }) => name);
  t.deepEqual(names.filter((name) => /coder\d/.test(name)).sort(), ["decoder1", "decoder2", "decoder3", "encoder1"]);
  t.true(names.includes("encoderNormalization"));
  const { history } = await translator.fit(pairs, {
    ...Seq2Seq.preset("transformer-small").fit,
    epochs: 2,
    verbose: "silent",
  });
  t.true(history.loss!.every(Number.isFinite));
});

test("options that are wrong or do not fit are errors that say what to do", async (t) => {
  const cases: [options: object, message: RegExp][] = [
    [{ dModel: 30 }, /heads must divide dModel, got 4 heads for dModel 30/],
    [{ heads: 0 }, /heads must be an integer of at least 1/],
    [{ head: 4 }, /unknown option "head"/],
    [{ source: {} }, /source must be a Tokenizer/],
    [{ ffn: 0 }, /ffn must be an integer of at least 1/],
    [{ encoderLayers: 0 }, /encoderLayers must be an integer of at least 1/],
    [{ dropout: 1 }, /dropout must be below 1/],
    [{ attentionDropout: -1 }, /attentionDropout must be a number from 0 to 1/],
    [{ activation: "rely" }, /activation must be one of/],
    [
      { positions: "cosines" },
      /positions must be one of sinusoidal, sinusoidalHalves, learned, rotary, buckets, alibi/,
    ],
    [{ positionBuckets: 8 }, /positionBuckets is for positions "buckets", got "sinusoidal"/],
    [{ positions: "alibi", positionMaxDistance: 8 }, /positionMaxDistance is for positions "buckets", got "alibi"/],
    [{ positions: "buckets", positionBuckets: 7 }, /buckets must be an even number/],
    [{ dModel: 36, positions: "rotary" }, /positions "rotary" needs an even dModel \/ heads, got 36 \/ 4/],
    [{ slidingWindow: 0 }, /slidingWindow must be an integer of at least 1, got 0/],
    [{ slidingWindow: [] }, /slidingWindow must be an integer, null or a list of these that is not empty/],
    [{ slidingWindow: [null, 0.5] }, /slidingWindow\[1\] must be an integer of at least 1, got 0.5/],
    [{ slidingWindow: "all" }, /slidingWindow must be an integer, null or a list of these/],
    [{ logitSoftCap: 0 }, /logitSoftCap must be above 0/],
    [{ logitSoftCap: -1 }, /logitSoftCap must be a number of at least 0, got -1/],
    [{ useGate: 1 }, /useGate must be true or false, got 1/],
    [{ tiedEmbeddings: "some" }, /tiedEmbeddings must be one of false, inputs, target, all, got some/],
    [{ tiedEmbeddings: "all" }, /tiedEmbeddings "all" needs one tokenizer/],
    [{ preset: "transformer-huge" as TransformerPresetName }, /preset must be one of transformer-tiny/],
    [{ name: "a/b" }, /name must be a string/],
  ];
  for (const [options, message] of cases) {
    await t.throwsAsync(made(options as Partial<TransformerSeq2SeqOptions>), { instanceOf: OptionError, message });
  }
  t.throws(() => Seq2Seq.preset("tiny" as TransformerPresetName), {
    instanceOf: OptionError,
    message: /Seq2Seq.preset/,
  });
  await using limited = await made({ positions: "learned", maxLength: 3 });
  await limited.model.build();
  await t.throwsAsync(limited.generate(["abcdabcd"]), {
    instanceOf: DataError,
    message: /layer sourcePositions: expected sequences of at most 3 steps \(maxLength\), got 9/,
  });
});
