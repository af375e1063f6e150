import { setTimeout as wait } from "node:timers/promises";
import test from "ava";
import { input, layers, model, OptionError, SconceError, Seq2Seq, StateError, Tokenizer } from "../../src/index.ts";

const reason = new Error("enough");

/** An untrained translator over a few characters: it seldom ends a translation by itself. */
async function translator(units = 64): Promise<Seq2Seq> {
  const tokenizer = await Tokenizer.train(["abcdefgh"], { type: "character" });
  const { size } = tokenizer.vocabulary;
  const source = input({ shape: [null], dtype: "int32", name: "source" });
  const target = input({ shape: [null], dtype: "int32", name: "target" });
  const table = layers.embedding({ inputDim: size, outputDim: 16, maskZero: true });
  const [, h, c] = layers.lstm({ units, returnState: true })(table(source));
  const states = layers.lstm({ units, returnSequences: true })(table(target), { initialState: [h, c] });
  const outputs = layers.dense({ units: size, activation: "softmax" })(states);
  const net = model({ inputs: [source, target], outputs });
  await net.build({ seed: 3 });
  return Seq2Seq.fromModel({ model: net, source: tokenizer, target: tokenizer });
}

test("options of generate that are out of range are refused, naming the option", async (t) => {
  const own = await translator();
  const bad = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "3", {}, 1n];
  for (const name of ["maxNewTokens", "batchSize"]) {
    for (const value of bad) {
      const expected = { instanceOf: OptionError, message: new RegExp(name) };
      await t.throwsAsync(own.generate(["abc"], { [name]: value }), expected, `${name} ${String(value)}`);
    }
  }
  const wrong = [
    { numBeams: 0 },
    { numBeam: 4 },
    { numBeams: 2, numReturnSequences: 3 },
    { numReturnSequences: 2 },
    { numReturnSequences: 0, doSample: true },
    { doSample: false, topK: 3 },
    { doSample: 1 },
    { temperature: 0 },
    { temperature: Number.NaN },
    { topK: -1 },
    { topP: 1.5 },
    { minP: -0.1 },
    { typicalP: 0 },
    { seed: -1, doSample: true },
    { seed: 0.5, doSample: true },
    { lengthPenalty: Number.POSITIVE_INFINITY },
    { earlyStopping: "always" },
    { minNewTokens: 5, maxNewTokens: 4 },
    { repetitionPenalty: 0 },
    { noRepeatNgramSize: -1 },
    { encoderNoRepeatNgramSize: 1.5 },
    { badWordsIds: [[]] },
    { badWordsIds: [3] },
    { badWordsIds: [[99]] },
    { suppressTokens: [-1] },
    { suppressTokens: [1000] },
    { suppressTokens: 3 },
    { forcedBosTokenId: "a" },
    { forcedEosTokenId: [12345] },
    { eosTokenId: [2 ** 31 - 1] },
    { eosTokenId: null },
    { allowedTokens: [1, 2] },
    { allowedTokens: () => [] },
    { allowedTokens: () => 7 },
    { returnLogProbabilities: 1 },
    { returnAlternatives: "yes" },
    { returnAlternatives: true, doSample: true },
    { targetPrefix: ["a", "b"] },
    { targetPrefix: 3 },
    { suppressTokens: Array.from({ length: 12 }, (_, id) => id) },
    { signal: {} },
    { recompute: 1 },
  ];
  for (const options of wrong) {
    await t.throwsAsync(own.generate(["abc"], options as never), { instanceOf: OptionError }, JSON.stringify(options));
  }
  await t.throwsAsync(own.generate(["abc"], { numBeams: 2 ** 40 }), { code: "LIMIT" });
  for (const texts of [7, null, "abc", [1], [null], { length: 3 }]) {
    const error = await t.throwsAsync(own.generate(texts as never), { instanceOf: SconceError }, JSON.stringify(texts));
    t.not((error as SconceError).code, "INTERNAL");
  }
  t.is((await own.generate(["", "\ud800", "unknown ☃"], { maxNewTokens: 2 })).length, 3);
  t.deepEqual(await own.generate([]), []);
});

test("an abort ends a search between two tokens, running or waiting", async (t) => {
  const own = await translator();
  const endless = { maxNewTokens: 2 ** 31 };
  for (const delay of [undefined, 0, 20]) {
    const controller = new AbortController();
    const { signal } = controller;
    const searches = [own.generate(["abc"], { ...endless, signal }), own.generate(["cab"], { ...endless, signal })];
    if (delay !== undefined) await wait(delay);
    controller.abort(reason);
    for (const result of await Promise.allSettled(searches)) {
      // A search may have found its end before.
      if (result.status === "rejected") t.is(result.reason, reason);
    }
  }
  await t.throwsAsync(own.generate(["abc"], { signal: AbortSignal.abort(reason) }), { is: reason });
  const [short] = await own.generate(["abc"], { maxNewTokens: 3 });
  t.true(short!.tokens.length <= 3);
});

test("searches take turns with other calls, and end when their model is disposed of", async (t) => {
  const own = await translator(128);
  const searches = Array.from({ length: 6 }, () => own.generate(["abcdefgh"], { maxNewTokens: 5000 }));
  await wait(5);
  own.model.dispose();
  for (const result of await Promise.allSettled(searches)) {
    if (result.status === "rejected") t.true(result.reason instanceof StateError, `${result.reason}`);
  }
  await t.throwsAsync(own.generate(["abc"]), { instanceOf: StateError });
});
