import test from "ava";
import { input, LanguageModel, layers, model, ndarray, Seq2Seq, StateError, Tokenizer } from "../../src/index.ts";
import { letters, translatorOf } from "./hugging-face.ts";

const texts = ["abcde", "ponm", "gg", "kabfh"];
const searches = [{}, { numBeams: 3 }, { doSample: true, seed: 3 }, { doSample: true, numBeams: 2 }];

function ids(translator: Seq2Seq, tokens: readonly string[]): number[] {
  return tokens.map((token) => translator.target.vocabulary.id(token));
}

test("scores of given targets are those with which they are generated", async (t) => {
  const translator = await translatorOf("marian");
  for (const options of [{}, { numBeams: 4, lengthPenalty: 0 }]) {
    const made = await translator.generate(texts, { ...options, maxNewTokens: 30, returnLogProbabilities: true });
    const pairs = texts.map((source, index) => ({ source, target: made[index]!.text }));
    const scored = await translator.score(pairs);
    for (const [index, { score, tokens, logProbabilities }] of scored.entries()) {
      const own = made[index]!;
      t.deepEqual(tokens.slice(0, -1), own.tokens);
      t.true(Math.abs(score - own.score) < 1e-4, `${score} ${own.score}`);
      t.is(logProbabilities.length, tokens.length);
      t.true(logProbabilities.every((value, step) => Math.abs(value - own.logProbabilities![step]!) < 1e-4));
    }
    t.deepEqual(await translator.score(pairs, { batchSize: 1 }), scored);
  }
  t.is((await translator.score([["", ""]]))[0]!.tokens.length, 1);
  await t.throwsAsync(translator.score(texts as never), { code: "DATA" });
  await t.throwsAsync(translator.score([], { batchSize: 0 }), { code: "OPTION" });
  const reason = new Error("enough");
  await t.throwsAsync(translator.score([["a", "b"]], { signal: AbortSignal.abort(reason) }), { is: reason });
});

test("translations begin with a prefix, each with its own, alone and with others", async (t) => {
  const translator = await translatorOf("bart");
  const prefixes = ["a", "", "hij", "kl"];
  for (const options of searches) {
    const all = { ...options, maxNewTokens: 8 };
    const made = await translator.generate(texts, { ...all, targetPrefix: prefixes });
    t.true(made.every(({ text }, index) => text.startsWith(prefixes[index]!)));
    if (!("doSample" in options)) {
      for (const [index, text] of texts.entries()) {
        const [alone] = await translator.generate([text], { ...all, targetPrefix: prefixes[index]! });
        t.deepEqual(alone, made[index]);
        const pieces: string[] = [];
        for await (const piece of translator.stream(text, { ...all, targetPrefix: prefixes[index]! }))
          pieces.push(piece);
        t.is(pieces.join(""), alone!.text);
      }
    }
  }
});

test("only allowed tokens come, for each text its own", async (t) => {
  const translator = await translatorOf("t5");
  const allowed = [ids(translator, ["a", "b"]), ids(translator, ["c", "d", "e"])];
  for (const options of searches) {
    const asked: number[] = [];
    const made = await translator.generate(texts, {
      ...options,
      maxNewTokens: 6,
      batchSize: 3,
      allowedTokens: (prefix, index) => {
        asked.push(index);
        t.true(prefix.length < 6);
        return prefix.length === 5 ? [translator.target.vocabulary.end] : allowed[index % 2]!;
      },
    });
    t.deepEqual([...new Set(asked)].sort(), [0, 1, 2, 3]);
    for (const [index, { text }] of made.entries()) t.regex(text, index % 2 === 0 ? /^[ab]{5}$/ : /^[cde]{5}$/);
    const pieces: string[] = [];
    const allowedTokens = () => allowed[1]!;
    for await (const piece of translator.stream("abc", { ...options, maxNewTokens: 4, allowedTokens }))
      pieces.push(piece);
    t.regex(pieces.join(""), /^[cde]{4}$/);
  }
  const failure = new Error("mine");
  const allowedTokens = () => {
    throw failure;
  };
  await t.throwsAsync(translator.generate(texts, { allowedTokens }), { is: failure });
});

test("a seed gives the same texts in any batch, and other seeds others", async (t) => {
  const translator = await translatorOf("bart");
  for (const options of [{ numReturnSequences: 3 }, { numBeams: 4, topK: 0 }, { temperature: 2, minP: 0.01 }]) {
    const all = { ...options, doSample: true, maxNewTokens: 10 };
    const made = await translator.generate(texts, { ...all, seed: 1 });
    t.deepEqual(await translator.generate(texts, { ...all, seed: 1, batchSize: 1 }), made);
    t.deepEqual((await translator.generate(texts.slice(0, 1), { ...all, seed: 1 }))[0], made[0]);
    t.notDeepEqual(await translator.generate(texts, { ...all, seed: 2 }), made);
  }
  // The sampled texts of one source differ, too.
  const same = await translator.generate(["abc", "abc", "abc", "abc", "abc"], { temperature: 2, maxNewTokens: 10 });
  t.true(new Set(same.map(({ text }) => text)).size > 1);
});

test("what a short source gives does not depend on longer ones beside it, to the last bit", async (t) => {
  // Of every length from 1 to 9 with the end token, and a few that are long.
  const sources = Array.from({ length: 120 }, (_, index) =>
    Array.from({ length: index % 17 === 0 ? 20 : 1 + (index % 8) }, (_, place) => {
      return letters[(index * 7 + place * (1 + (index % 5))) % letters.length]!;
    }).join(""),
  );
  for (const name of ["t5", "marian", "bart"] as const) {
    const translator = await translatorOf(name);
    for (const options of [{}, { numBeams: 5, numReturnSequences: 2 }, { recompute: true }]) {
      const all = { ...options, maxNewTokens: 6, returnLogProbabilities: true };
      const made = await translator.generate(sources, { ...all, batchSize: 60 });
      t.deepEqual(await translator.generate(sources, { ...all, batchSize: 1 }), made, name);
    }
    const pairs = sources.map((source, index) => ({ source, target: sources[(index + 1) % sources.length]! }));
    const scored = await translator.score(pairs, { batchSize: 60 });
    t.deepEqual(await translator.score(pairs, { batchSize: 1 }), scored, name);
  }
});

test("alternatives are the next best, and ends are those that are named", async (t) => {
  const translator = await translatorOf("marian");
  const [made] = await translator.generate(["abcdef"], { numBeams: 6, numReturnSequences: 6, maxNewTokens: 20 });
  const scores = [made!, ...made!.alternatives!].map(({ score }) => score);
  t.deepEqual(
    scores,
    [...scores].sort((a, b) => b - a),
  );
  const letters = [..."abcdefghijklmnop"];
  const short = await translator.generate(texts, { eosTokenId: ids(translator, letters), maxNewTokens: 20 });
  t.true(short.every(({ text }) => !letters.some((letter) => text.includes(letter))));
  t.deepEqual(await translator.generate([" "], { returnLogProbabilities: true }), [
    { text: "", tokens: [], score: 0, logProbabilities: [] },
  ]);
});

test("every sequence says what its tokens look at, given ones too", async (t) => {
  const translator = await translatorOf("bart");
  const options = { numBeams: 3, numReturnSequences: 2, maxNewTokens: 8, targetPrefix: "ab" };
  const made = await translator.generate(texts, { ...options, outputAttentions: true });
  const plain = await translator.generate(texts, options);
  for (const [index, { alternatives, ...best }] of made.entries()) {
    t.deepEqual(
      [best, ...alternatives!].map(({ text }) => text),
      [plain[index]!, ...plain[index]!.alternatives!].map(({ text }) => text),
    );
    for (const { tokens, attention } of [best, ...alternatives!]) {
      t.is(attention!.length, tokens.length);
      t.true(attention!.every((shares) => shares.length === texts[index]!.length + 1));
      t.true(attention!.every((shares) => Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-5));
    }
  }
});

test("beams of a decoder that looks at the source through a window step as whole graphs do", async (t) => {
  const tokenizer = await Tokenizer.train(["abcdefgh"], { type: "character" });
  const { size } = tokenizer.vocabulary;
  const ids = () => input({ shape: [null], dtype: "int32" });
  const [source, target] = [ids(), ids()];
  const table = layers.embedding({
    inputDim: size,
    outputDim: 8,
    maskZero: true,
    embeddingsInitializer: "randomNormal",
  });
  const states = layers.lstm({ units: 8, returnSequences: true })(table(target));
  const seen = layers.multiHeadAttention({ numHeads: 2, keyDim: 4, slidingWindow: 2 })(states, table(source));
  const outputs = layers.dense({ units: size, activation: "softmax" })(layers.concatenate()([states, seen]));
  const net = model({ inputs: [source, target], outputs });
  await net.build({ seed: 5 });
  const translator = Seq2Seq.fromModel({ model: net, source: tokenizer, target: tokenizer });
  const options = { numBeams: 4, maxNewTokens: 7 };
  const words = ["abcdefgh", "hgf", "ccddee"];
  const found = await translator.generate(words, options);
  const slow = await translator.generate(words, { ...options, recompute: true });
  for (const [index, { tokens, score }] of found.entries()) {
    t.deepEqual(tokens, slow[index]!.tokens);
    t.true(Math.abs(score - slow[index]!.score) < 1e-4);
  }
  net.dispose();
});

test("streams end with their signal, their model and with what is wrong", async (t) => {
  const translator = await translatorOf("t5");
  const reason = new Error("enough");
  const controller = new AbortController();
  const stream = translator.stream("abc", {
    maxNewTokens: 1_000_000,
    minNewTokens: 1_000_000,
    signal: controller.signal,
  });
  t.true(((await stream.next()).value as string).length > 0);
  controller.abort(reason);
  const rest = async () => {
    for await (const _ of stream);
  };
  await t.throwsAsync(rest, { is: reason });
  await t.throwsAsync(translator.stream(5 as never).next(), { code: "DATA" });
  await t.throwsAsync(translator.stream("a", { numBeams: 2, numReturnSequences: 2 } as never).next(), {
    code: "OPTION",
  });
  const open = translator.stream("abc", { maxNewTokens: 1_000_000, minNewTokens: 1_000_000 });
  await open.next();
  translator.dispose();
  await t.throwsAsync(
    async () => {
      for await (const _ of open);
    },
    { instanceOf: StateError },
  );
});

test("language models search and draw too, and prompts of any length do not disturb each other", async (t) => {
  const tokenizer = await Tokenizer.train(["abcdefgh"], { type: "character" });
  for (const writer of [
    LanguageModel.transformer({ tokenizer, dModel: 16, heads: 2, layers: 2 }),
    LanguageModel.recurrent({ tokenizer, units: 16, layers: 1 }),
  ]) {
    const prompts = ["abcdefgh", "", "ab", "hgfedcb", "abc"];
    const { end, size } = tokenizer.vocabulary;
    const scored = await writer.score(["hgfedcba", "ab", ""]);
    t.deepEqual(await writer.score(["hgfedcba", "ab", ""], { batchSize: 1 }), scored);
    for (const [index, text] of ["hgfedcba", "ab", ""].entries()) {
      const target = [...tokenizer.encode(text), end];
      const read = ndarray(Int32Array.from([end, ...target.slice(0, -1)]), [1, target.length]);
      const { data } = (await writer.model.predict(read)) as { data: Float32Array };
      t.deepEqual(
        scored[index]!.tokens,
        target.map((id) => tokenizer.vocabulary.token(id)),
      );
      for (const [step, id] of target.entries()) {
        t.true(Math.abs(scored[index]!.logProbabilities[step]! - Math.log(data[step * size + id]!)) < 1e-5);
      }
    }
    await t.throwsAsync(writer.score("ab" as never), { code: "OPTION" });
    await t.throwsAsync(writer.score([5 as never]), { code: "DATA" });
    for (const options of [
      { numBeams: 3, numReturnSequences: 2, noRepeatNgramSize: 2 },
      { encoderNoRepeatNgramSize: 1 },
      { doSample: true, numReturnSequences: 2 },
    ]) {
      const made = await writer.generate(prompts, { ...options, maxNewTokens: 6 });
      t.deepEqual(await writer.generate(prompts, { ...options, maxNewTokens: 6, batchSize: 1 }), made);
      if ("encoderNoRepeatNgramSize" in options) {
        t.true(made.every(({ text }, index) => ![...text].some((letter) => prompts[index]!.includes(letter))));
      } else {
        t.true(made.every(({ alternatives }) => alternatives!.length === 1));
      }
      const pieces: string[] = [];
      const { numReturnSequences: _, ...rest } = { numReturnSequences: 1, ...options };
      for await (const piece of writer.stream(prompts[0]!, { ...rest, maxNewTokens: 6 })) pieces.push(piece);
      t.is(pieces.join(""), made[0]!.text);
    }
    writer.dispose();
  }
});
