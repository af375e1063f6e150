import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { FormatError, GraphError, OptionError, StateError } from "../../src/errors.ts";
import {
  adam,
  backupAndRestore,
  Dataset,
  generationSamples,
  input,
  layers,
  type Model,
  model,
  Seq2Seq,
  type Seq2SeqOptions,
  type SymbolicTensor,
  type TextPair,
} from "../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-seq2seq-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** Words of other lengths, each written backwards. */
const pairs: [string, string][] = Array.from({ length: 160 }, (_, index) => {
  const word = ((index * 2654435761) % 4 ** 5).toString(4).replace(/\d/g, (digit) => "abcd"[Number(digit)]!);
  return [word, [...word].reverse().join("")];
});
const training = Tokenizer.train(pairs.flat(), { type: "character" });
const tokenizer = () => training;

interface Parts {
  maskZero?: boolean;
  oneHot?: boolean;
  units?: number;
}

/** The textbook model over the characters of the pairs. */
async function textbook({ maskZero = true, oneHot = false, units = 32 }: Parts = {}) {
  const size = (await tokenizer()).vocabulary.size;
  const side = (name: string): [data: SymbolicTensor, features: SymbolicTensor] => {
    if (oneHot) {
      const data = input({ shape: [null, size], name });
      return [data, data];
    }
    const data = input({ shape: [null], dtype: "int32", name });
    return [data, layers.embedding({ inputDim: size, outputDim: 16, maskZero })(data)];
  };
  const [encoderInputs, encoderFeatures] = side("source");
  const [decoderInputs, decoderFeatures] = side("target");
  const [, h, c] = layers.lstm({ units, returnState: true })(encoderFeatures);
  const states = layers.lstm({ units, returnSequences: true })(decoderFeatures, { initialState: [h, c] });
  const probabilities = layers.dense({ units: size, activation: "softmax" })(states);
  return { inputs: [encoderInputs, decoderInputs] as const, states, probabilities };
}

async function wrap(parts: Parts = {}, options: Partial<Seq2SeqOptions> = {}): Promise<Seq2Seq> {
  const { inputs, probabilities } = await textbook(parts);
  const own = await tokenizer();
  return Seq2Seq.fromModel({
    model: model({ inputs: [...inputs], outputs: probabilities }),
    source: own,
    target: own,
    ...options,
  });
}

const quiet = { verbose: "silent", batchSize: 16, seed: 3 } as const;
const texts = ["ab", "", "abcda", "c", "dddd", "ab", "badc"];

for (const parts of [{}, { maskZero: false }, { oneHot: true }]) {
  const name = JSON.stringify(parts);
  test(`a trained model translates, whole and step by step, alone and with others: ${name}`, async (t) => {
    const translator = await wrap(parts);
    const before = (await translator.fit(pairs, { ...quiet, epochs: 0 })) && (await translator.evaluate(pairs));
    const { history } = await translator.fit(pairs, { ...quiet, epochs: 12, optimizer: adam({ learningRate: 0.01 }) });
    t.true(history.loss!.at(-1)! < 0.6 * history.loss![0]!);
    const after = await translator.evaluate(pairs);
    t.true(after.loss < 0.6 * before.loss && after.tokenAccuracy! > before.tokenAccuracy!);
    t.true(Math.abs(after.perplexity / Math.exp(after.loss) - 1) < 1e-4);
    t.is(
      after.tokens,
      pairs.reduce((sum, [, target]) => sum + target.length + 1, 0),
    );

    const results = await translator.generate(texts, { maxNewTokens: 8 });
    t.deepEqual(results[1], { text: "", tokens: [], score: 0 });
    t.true(new Set(results.map(({ text }) => text)).size >= 4);
    t.true(results.every(({ text, tokens, score }) => text === tokens.join("") && score <= 0));
    t.deepEqual(results[5], results[0]);
    const recomputed = await translator.generate(texts, { maxNewTokens: 8, recompute: true });
    for (const [index, { text, tokens, score }] of results.entries()) {
      t.deepEqual([recomputed[index]!.text, recomputed[index]!.tokens], [text, tokens]);
      t.true(Math.abs(recomputed[index]!.score - score) < 1e-4);
      t.deepEqual((await translator.generate([texts[index]!], { maxNewTokens: 8 }))[0], results[index]);
    }
    t.deepEqual(await translator.generate(texts, { maxNewTokens: 8, batchSize: 2 }), results);
    t.true((await translator.generate(texts, { maxNewTokens: 1 })).every(({ tokens }) => tokens.length <= 1));
    t.deepEqual(await translator.generate([]), []);
    for (const [index, text] of texts.entries()) {
      const pieces: string[] = [];
      for await (const piece of translator.stream(text, { maxNewTokens: 8 })) pieces.push(piece);
      t.is(pieces.join(""), results[index]!.text);
      const { length } = results[index]!.tokens;
      t.true(pieces.every((piece) => piece !== "") && pieces.length <= length && (length < 2 || pieces.length > 1));
    }
    translator.dispose();
  });
}

test("the loss per token does not depend on the batches, with a mask or without", async (t) => {
  for (const parts of [{}, { maskZero: false }]) {
    const translator = await wrap(parts);
    await translator.fit(pairs, { ...quiet, epochs: 12, optimizer: adam({ learningRate: 0.01 }) });
    const one = await translator.evaluate(pairs, { batchSize: 1 });
    const all = await translator.evaluate(pairs, { batchSize: 160 });
    for (const name of ["loss", "tokenAccuracy", "perplexity"] as const) {
      t.true(Math.abs(one[name]! - all[name]!) < 1e-5 * one[name]!, `${name}: ${one[name]} and ${all[name]}`);
    }
    t.is(one.tokens, all.tokens);
    t.is(one.exactMatch, all.exactMatch);
    const results = await translator.generate(pairs.map(([source]) => source));
    const matches = results.filter(({ text }, index) => text === pairs[index]![1]).length;
    t.is(one.exactMatch, matches / pairs.length);
    t.is((await translator.evaluate(pairs, { metrics: ["loss"] })).exactMatch, undefined);
  }
});

test("samples of a training are what generate gives then", async (t) => {
  const translator = await wrap();
  const lines: string[] = [];
  const samples = generationSamples({
    translator,
    sources: texts,
    references: texts,
    every: 2,
    maxNewTokens: 8,
    print: (line) => void lines.push(line),
  });
  await translator.fit(pairs, { ...quiet, epochs: 3, callbacks: [samples] });
  t.is(lines.length, texts.length);
  await translator.fit(pairs, { ...quiet, epochs: 4, initialEpoch: 3, callbacks: [samples] });
  const results = await translator.generate(texts, { maxNewTokens: 8 });
  t.deepEqual(
    lines.slice(texts.length),
    texts.map((text, index) => `${text} -> ${results[index]!.text} (${text})`),
  );
});

test("saved and loaded it translates the same, and trains on the same", async (t) => {
  const translator = await wrap();
  await translator.fit(pairs, { ...quiet, epochs: 3 });
  const place = join(folder, "saved");
  await translator.save(place);
  const again = await Seq2Seq.load(place);
  t.deepEqual(await again.generate(texts, { maxNewTokens: 8 }), await translator.generate(texts, { maxNewTokens: 8 }));
  t.deepEqual(await again.evaluate(pairs), await translator.evaluate(pairs));
  const options = { ...quiet, epochs: 4, initialEpoch: 3 };
  t.deepEqual(await again.fit(pairs, options), await translator.fit(pairs, options));
});

test("damaged folders are FormatErrors", async (t) => {
  const translator = await wrap();
  await translator.fit(pairs, { ...quiet, epochs: 0 });
  await translator.model.build();
  const place = join(folder, "damaged");
  await translator.save(place);
  const path = join(place, "seq2seq.json");
  const good = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const other = (await Tokenizer.train(["xyz"], { type: "character" })).toJSON();
  for (const bad of [
    { ...good, version: 9 },
    { ...good, target: other },
    { ...good, output: 5 },
    { ...good, encoderInput: 1 },
  ]) {
    writeFileSync(path, JSON.stringify(bad));
    await t.throwsAsync(Seq2Seq.load(place), { instanceOf: FormatError });
  }
  rmSync(path);
  await t.throwsAsync(Seq2Seq.load(place), { code: "FILE", message: /seq2seq.json/ });
});

test("a run that was interrupted ends like one that was not; an iterable cannot be resumed", async (t) => {
  const run = async (callbacks: Parameters<Seq2Seq["fit"]>[1], data: Parameters<Seq2Seq["fit"]>[0] = pairs) => {
    const translator = await wrap({ units: 8 });
    const history = await translator.fit(data, { ...quiet, epochs: 3, ...callbacks });
    return { history, weights: await translator.model.getWeights() };
  };
  const checkpoint = join(folder, "checkpoint");
  const whole = await run({ callbacks: [{ onBatchEnd() {} }, backupAndRestore({ folder: join(folder, "unused") })] });
  const controller = new AbortController();
  const reason = new Error("stop");
  let batches = 0;
  const stop = {
    onBatchEnd() {
      batches += 1;
      if (batches === 14) controller.abort(reason);
    },
  };
  const backup = backupAndRestore({ folder: checkpoint });
  t.is(await t.throwsAsync(run({ callbacks: [stop, backup], signal: controller.signal })), reason);
  const kept = join(folder, "kept");
  cpSync(checkpoint, kept, { recursive: true });
  const resumed = await run({ callbacks: [{ onBatchEnd() {} }, backup] });
  t.deepEqual(resumed.history, whole.history);
  t.deepEqual(resumed.weights, whole.weights);

  async function* stream(): AsyncGenerator<TextPair> {
    for (const [source, target] of pairs) yield { source, target };
  }
  const data = Dataset.fromIterable(() => stream());
  await t.throwsAsync(run({ callbacks: [{ onBatchEnd() {} }, backupAndRestore({ folder: kept })] }, data), {
    instanceOf: StateError,
  });
  t.is((await run({ epochs: 1 }, data)).history.history.loss!.length, 1);
});

test("roles are found in any order of inputs, and what cannot be decoded is refused by name", async (t) => {
  const { inputs, states, probabilities } = await textbook();
  const own = await tokenizer();
  const tokenizers = { source: own, target: own };
  const swapped = model({ inputs: [inputs[1], inputs[0]], outputs: [states, probabilities] });
  const translator = Seq2Seq.fromModel({ model: swapped, ...tokenizers });
  await translator.fit(pairs, { ...quiet, epochs: 1 });
  t.is((await translator.generate(["abc"], { maxNewTokens: 4 })).length, 1);

  const choices = { encoderInput: inputs[0], decoderInput: inputs[1], output: 1 };
  t.notThrows(() => Seq2Seq.fromModel({ model: swapped, ...tokenizers, ...choices }));
  const single = model({ inputs: [...inputs], outputs: probabilities });
  t.throws(() => Seq2Seq.fromModel({ model: single, ...tokenizers, decoderInput: inputs[0] }), {
    instanceOf: GraphError,
  });

  const size = own.vocabulary.size;
  const embedded = layers.embedding({ inputDim: size, outputDim: 4, maskZero: true })(inputs[1]);
  const [, h, c] = layers.lstm({ units: 4, returnState: true })(
    layers.embedding({ inputDim: size, outputDim: 4 })(inputs[0]),
  );
  const back = layers.lstm({ name: "looksAhead", units: 4, returnSequences: true, goBackwards: true });
  const outputs = layers.dense({ units: size, activation: "softmax" })(back(embedded, { initialState: [h, c] }));
  t.throws(() => Seq2Seq.fromModel({ model: model({ inputs: [...inputs], outputs }), ...tokenizers }), {
    instanceOf: GraphError,
    message: /looksAhead/,
  });
});

test("begin and end can be tokens of the text", async (t) => {
  const framed = await Tokenizer.train(["\tabcd\n"], { type: "character" });
  t.is(framed.vocabulary.size, 10);
  const size = framed.vocabulary.size;
  const encoderInputs = input({ shape: [null, (await tokenizer()).vocabulary.size] });
  const decoderInputs = input({ shape: [null, size] });
  const [, h, c] = layers.lstm({ units: 8, returnState: true })(encoderInputs);
  const states = layers.lstm({ units: 8, returnSequences: true })(decoderInputs, { initialState: [h, c] });
  const outputs = layers.dense({ units: size, activation: "softmax" })(states);
  const wrapped = model({ inputs: [encoderInputs, decoderInputs], outputs });
  const options = { model: wrapped, source: await tokenizer(), target: framed, beginToken: "\t", endToken: "\n" };
  const translator = Seq2Seq.fromModel(options);
  await translator.fit(pairs, { ...quiet, epochs: 4, optimizer: adam({ learningRate: 0.02 }) });
  const results = await translator.generate(["ab", "c"], { maxNewTokens: 12 });
  t.true(results.every(({ text }) => !text.includes("\n") && !text.includes("\t")));
  t.throws(() => Seq2Seq.fromModel({ ...options, endToken: "end" }), {
    instanceOf: OptionError,
    message: /endToken "end"/,
  });
});

test("signals stop generation, and wrong calls are typed errors", async (t) => {
  const translator = await wrap({ units: 8 });
  await t.throwsAsync(translator.evaluate(pairs), { instanceOf: StateError });
  const reason = new Error("enough");
  t.is(await t.throwsAsync(translator.generate(texts, { signal: AbortSignal.abort(reason) })), reason);
  const controller = new AbortController();
  const running = translator.generate(["abcd"], { maxNewTokens: 1_000_000, signal: controller.signal });
  setTimeout(() => controller.abort(reason), 50);
  t.is(await t.throwsAsync(running), reason);
  for (const bad of [{ maxNewTokens: 0 }, { batchSize: 1.5 }, { numBeams: 0 }, { recompute: 1 }]) {
    await t.throwsAsync(translator.generate(texts, bad as object), { instanceOf: OptionError });
  }
  await t.throwsAsync(translator.generate("ab" as unknown as string[]), { instanceOf: OptionError });
  await t.throwsAsync(translator.generate([5 as unknown as string]), { code: "DATA" });
  for (const bad of [
    { batchSize: 8, batchTokens: 8 },
    { batchSize: 0 },
    { shuffle: true },
    { maxLength: -1 },
    { labelSmoothing: 2 },
    { seed: -1 },
    { epochs: 0.5 },
  ]) {
    await t.throwsAsync(translator.fit(pairs, { ...quiet, ...bad } as object), { instanceOf: OptionError });
  }
  const own = await tokenizer();
  const good = { model: translator.model as Model, source: own, target: own };
  for (const bad of [
    { ...good, model: {} },
    { ...good, source: {} },
    { ...good, feeds: "ids" },
    { ...good, feed: "x" },
  ]) {
    t.throws(() => Seq2Seq.fromModel(bad as Seq2SeqOptions), { instanceOf: OptionError });
  }
  translator.dispose();
  await t.throwsAsync(translator.generate(texts), { instanceOf: StateError });
});
