import { setImmediate } from "node:timers/promises";
import test from "ava";
import { DataError, EncodedTexts, OptionError, Tokenizer, type TokenizerProgress } from "../../src/index.ts";

const sentences = Array.from(
  { length: 400 },
  (_, index) => `Sentence ${index}: the cat number ${index * 7919} sat, 我在${index}。`,
);
const trained = Tokenizer.train(sentences, { type: "bpe", vocabularySize: 300 });

test("byte pairs come back as the same text", async (t) => {
  const tokenizer = await trained;
  t.is(tokenizer.type, "bpe");
  t.deepEqual(tokenizer.vocabulary.tokens.slice(0, 4), ["<pad>", "<unk>", "<s>", "</s>"]);
  t.is(tokenizer.vocabulary.size, 300);
  for (const text of sentences) t.is(tokenizer.decode(tokenizer.encode(text, { addBegin: true, addEnd: true })), text);
  t.true(tokenizer.encode(sentences[0]!).length < sentences[0]!.length / 2);
});

test("batches give what single texts give, and back", async (t) => {
  const tokenizer = await trained;
  const texts = [...sentences, "", "\ud800 lone", "x".repeat(300_000), ...sentences, ...sentences, ...sentences];
  const encoded = await tokenizer.encodeBatch(texts, { addBegin: true, addEnd: true });
  t.is(encoded.length, texts.length);
  for (const [index, text] of texts.entries()) {
    t.deepEqual(encoded.at(index), tokenizer.encode(text, { addBegin: true, addEnd: true }));
  }
  t.deepEqual([...encoded.at(400)], [2, 3]);
  const decoded = await tokenizer.decodeBatch(encoded);
  t.deepEqual(
    decoded,
    texts.map((text) => tokenizer.decode(tokenizer.encode(text))),
  );
  t.deepEqual(await tokenizer.decodeBatch([[4, 5], []]), [tokenizer.decode([4, 5]), ""]);
  t.deepEqual(await tokenizer.encodeBatch([]), new EncodedTexts(new Int32Array(0), new Int32Array(1)));
  t.deepEqual(
    [
      ...(await tokenizer.encodeBatch(
        (async function* () {
          yield "the cat";
        })(),
      )),
    ],
    [tokenizer.encode("the cat")],
  );
});

test("special tokens are found in text; options of one type are refused with another", async (t) => {
  const tokenizer = await Tokenizer.train(sentences, { type: "bpe", vocabularySize: 300, specialTokens: ["<2zh>"] });
  t.is(tokenizer.vocabulary.id("<2zh>"), 4);
  t.deepEqual([...tokenizer.encode("<2zh>")], [4]);
  t.false(tokenizer.encode("</s>").includes(3));
  const again = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
  t.deepEqual(again.encode("<2zh>the cat"), tokenizer.encode("<2zh>the cat"));
  t.deepEqual(again.toJSON(), tokenizer.toJSON());
  for (const bad of [
    { type: "word", byteLevel: true },
    { type: "bpe", byteLevel: true, vocabularySize: 200 },
    { type: "bpe", specialTokens: ["<s>"] },
    { type: "bpe", specialTokens: ["a", "a"] },
    { type: "bpe", specialTokens: [""] },
    { type: "bpe", normalization: "NFC" },
    { type: "bpe", onProgress: 1 },
    { type: "bpe", signal: {} },
  ]) {
    await t.throwsAsync(Tokenizer.train(sentences, bad as unknown as Parameters<typeof Tokenizer.train>[1]), {
      instanceOf: OptionError,
    });
  }
  await t.throwsAsync(Tokenizer.train("text" as unknown as string[], { type: "bpe" }), { instanceOf: OptionError });
});

test("bytes leave nothing unknown", async (t) => {
  const tokenizer = await Tokenizer.train(sentences, { type: "bpe", byteLevel: true, vocabularySize: 400 });
  for (const text of ["", "Ж👨‍👩‍👧  \n\t x", "the cat"]) t.is(tokenizer.decode(tokenizer.encode(text)), text);
  t.is(tokenizer.decode(tokenizer.encode("Ж").subarray(0, 1)), "\ufffd");
});

test("progress is told in order, at the end, and not too often; what it throws ends training", async (t) => {
  const reports: TokenizerProgress[] = [];
  const start = performance.now();
  const many = Array.from({ length: 40 }, () => sentences).flat();
  await Tokenizer.train(many, { type: "bpe", vocabularySize: 2000, onProgress: (progress) => reports.push(progress) });
  t.true(reports.length <= 2 + (performance.now() - start) / 50, `${reports.length} reports`);
  const last = reports.at(-1)!;
  t.is(last.stage, "merge");
  t.is(last.texts, many.length);
  t.true(last.tokens > 300 && last.tokens <= 2000);
  t.is(last.vocabularySize, 2000);
  for (const [index, report] of reports.entries()) {
    if (index > 0) t.true(report.texts >= reports[index - 1]!.texts && report.tokens >= reports[index - 1]!.tokens);
  }
  const error = new Error("enough");
  const onProgress = () => {
    throw error;
  };
  t.is(await t.throwsAsync(Tokenizer.train(many, { type: "bpe", onProgress })), error);
});

test("training and batches stop by their signal, and sources are closed", async (t) => {
  const tokenizer = await trained;
  const reason = new Error("stop");
  const stopped = AbortSignal.abort(reason);
  t.is(await t.throwsAsync(Tokenizer.train(sentences, { type: "bpe", signal: stopped })), reason);
  t.is(await t.throwsAsync(tokenizer.encodeBatch(sentences, { signal: stopped })), reason);
  t.is(await t.throwsAsync(tokenizer.decodeBatch([[4]], { signal: stopped })), reason);
  t.is(await t.throwsAsync(tokenizer.statistics(sentences, { signal: stopped })), reason);
  let closed = false;
  function* endless(): Generator<string> {
    try {
      for (;;) yield "again and again";
    } finally {
      closed = true;
    }
  }
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 30);
  t.is(await t.throwsAsync(tokenizer.encodeBatch(endless(), { signal: controller.signal })), reason);
  t.true(closed);
});

test("merging stops by its signal", async (t) => {
  // One long word of many different pairs takes a while for each merge.
  let state = 1;
  const letter = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return String.fromCharCode(97 + ((state >>> 16) % 26));
  };
  const word = Array.from({ length: 300_000 }, letter).join("");
  const controller = new AbortController();
  const reason = new Error("stop");
  const onProgress = ({ stage }: TokenizerProgress) => {
    if (stage === "merge") controller.abort(reason);
  };
  const options = { type: "bpe", vocabularySize: 50_000, signal: controller.signal, onProgress } as const;
  t.is(await t.throwsAsync(Tokenizer.train([word], options)), reason);
});

test("wrong texts and ids are typed errors that name them", async (t) => {
  const tokenizer = await trained;
  const wrong = ["a", 5] as unknown as string[];
  await t.throwsAsync(tokenizer.encodeBatch(wrong), { instanceOf: DataError, message: /text 1 is a number/ });
  await t.throwsAsync(tokenizer.encodeBatch("text" as unknown as string[]), { instanceOf: OptionError });
  await t.throwsAsync(tokenizer.encodeBatch([], { addStart: true } as object), { instanceOf: OptionError });
  await t.throwsAsync(tokenizer.decodeBatch([[300]]), { instanceOf: DataError, message: /id 300 .* 300 tokens/ });
  await t.throwsAsync(tokenizer.decodeBatch([[0.5]]), { instanceOf: DataError });
  const misplaced = new EncodedTexts(Int32Array.of(4, 5), Int32Array.of(0, 9));
  await t.throwsAsync(tokenizer.decodeBatch(misplaced), { instanceOf: DataError });
  t.throws(() => tokenizer.decode([-1]), { instanceOf: DataError });
  t.throws(() => tokenizer.decode([Number.NaN]), { instanceOf: DataError });
  t.throws(() => new EncodedTexts(new Int32Array(0), new Int32Array(1)).at(0), { instanceOf: DataError });
});

test("a failing source ends training with its error", async (t) => {
  const error = new Error("source");
  async function* failing(): AsyncGenerator<string> {
    yield "one";
    await setImmediate();
    throw error;
  }
  t.is(await t.throwsAsync(Tokenizer.train(failing(), { type: "word" })), error);
});

test("statistics count tokens, lengths and what is unknown", async (t) => {
  const tokenizer = await Tokenizer.train(["a a a b b c"], { type: "word" });
  t.deepEqual(await tokenizer.statistics(["a b", "a x a y", ""], { mostFrequent: 2 }), {
    texts: 3,
    tokens: 6,
    meanLength: 2,
    maximumLength: 4,
    unknown: 2,
    coverage: 1 - 2 / 6,
    types: 2,
    vocabularyUse: 2 / 3,
    mostFrequent: [
      { token: "a", id: 4, count: 3 },
      { token: "<unk>", id: 1, count: 2 },
    ],
  });
  const none = await tokenizer.statistics([]);
  t.deepEqual([none.meanLength, none.coverage, none.mostFrequent], [0, 1, []]);
  await t.throwsAsync(tokenizer.statistics([], { mostFrequent: -1 }), { instanceOf: OptionError });
});

test("a joint vocabulary serves both sides", async (t) => {
  const pairs = [
    ["the cat", "le chat"],
    ["a dog", "un chien"],
  ] as const;
  const joint = await Tokenizer.train(
    pairs.flatMap((pair) => [...pair]),
    { type: "bpe", vocabularySize: 60 },
  );
  for (const text of pairs.flat()) t.is(joint.decode(joint.encode(text)), text);
});

for (const type of ["wordPiece", "unigram"] as const) {
  test(`a tokenizer of type ${type} is trained, saved and read again`, async (t) => {
    const reports: TokenizerProgress[] = [];
    const options = {
      type,
      vocabularySize: 150,
      lowercase: true,
      normalization: "nfkc",
      specialTokens: ["<2zh>"],
      onProgress: (progress: TokenizerProgress) => reports.push(progress),
    } as const;
    const tokenizer = await Tokenizer.train(sentences, options);
    t.is(tokenizer.type, type);
    t.true(tokenizer.lowercase);
    t.true(tokenizer.vocabulary.size > 100 && tokenizer.vocabulary.size <= 150, `${tokenizer.vocabulary.size}`);
    t.is(tokenizer.vocabulary.id("<2zh>"), 4);
    t.is(reports.at(-1)?.stage, type === "unigram" ? "prune" : "merge");
    const again = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
    t.deepEqual(again.toJSON(), tokenizer.toJSON());
    const shuffled = await Tokenizer.train([...sentences].reverse(), options);
    t.deepEqual(shuffled.toJSON(), tokenizer.toJSON());
    for (const text of [...sentences, "<2zh>the ＣＡＴ", "Ж </s>", ""]) {
      t.deepEqual(again.encode(text), tokenizer.encode(text));
      t.false(tokenizer.encode(text).includes(tokenizer.vocabulary.end));
    }
    const words = await Tokenizer.train(sentences, { type: "word", lowercase: true, normalization: "nfkc" });
    for (const text of sentences.slice(0, 20)) {
      const joined = words.decode(words.encode(text));
      t.is(
        tokenizer.decode(tokenizer.encode(text)),
        type === "unigram" ? text.toLowerCase().normalize("NFKC") : joined,
      );
    }
    const rare = await Tokenizer.train(["ab ab ab x"], { type, minimumCount: 2 });
    t.true(rare.encode("x").includes(rare.vocabulary.unknown));
    await t.throwsAsync(Tokenizer.train(sentences, { type, byteLevel: true }), { instanceOf: OptionError });
    await t.throwsAsync(Tokenizer.train(["a b"], { type, minimumCount: 5 }), { instanceOf: DataError });
  });
}

test("texts are truncated to a length that counts begin and end", async (t) => {
  const tokenizer = await trained;
  const text = sentences[0]!;
  const all = [...tokenizer.encode(text)];
  t.deepEqual([...tokenizer.encode(text, { maxLength: 3 })], all.slice(0, 3));
  t.deepEqual([...tokenizer.encode(text, { maxLength: 3, truncationSide: "left" })], all.slice(-3));
  const framed = { addBegin: true, addEnd: true, maxLength: 4 } as const;
  t.deepEqual([...tokenizer.encode(text, framed)], [2, ...all.slice(0, 2), 3]);
  t.deepEqual(
    [...(await tokenizer.encodeBatch([text, "a"], framed))],
    [tokenizer.encode(text, framed), tokenizer.encode("a", framed)],
  );
  t.deepEqual([...tokenizer.encode(text, { ...framed, maxLength: 2 })], [2, 3]);
  for (const bad of [
    { ...framed, maxLength: 1 },
    { maxLength: -1 },
    { maxLength: 1.5 },
    { truncationSide: "end" },
    { addEnd: 1 },
  ]) {
    t.throws(() => tokenizer.encode(text, bad as object), { instanceOf: OptionError });
  }
});

test("texts cut at random depend on the seed and their number alone", async (t) => {
  const unigram = await Tokenizer.train(sentences, { type: "unigram", vocabularySize: 200 });
  for (const [tokenizer, sampling] of [
    [await trained, { dropout: 0.2 }],
    [unigram, { alpha: 0.2 }],
  ] as const) {
    const texts = [...sentences, ...sentences, ...sentences, ...sentences];
    const one = await tokenizer.encodeBatch(texts, { sampling });
    t.deepEqual(await tokenizer.encodeBatch(texts, { sampling: { ...sampling, seed: 0 } }), one);
    t.notDeepEqual((await tokenizer.encodeBatch(texts, { sampling: { ...sampling, seed: 1 } })).ids, one.ids);
    t.deepEqual(tokenizer.encode(texts[0]!, { sampling }), one.at(0));
    // The same text is cut in another way elsewhere.
    t.true(sentences.some((_, index) => one.at(index).join() !== one.at(index + sentences.length).join()));
    t.deepEqual(await tokenizer.decodeBatch(one), texts);
    // The text beside it makes no difference, nor where blocks are cut.
    const changed = ["x".repeat(200_000), ...texts.slice(1)];
    t.deepEqual((await tokenizer.encodeBatch(changed, { sampling })).at(1500), one.at(1500));
  }
  const words = await Tokenizer.train(sentences, { type: "word" });
  for (const [tokenizer, bad] of [
    [words, { dropout: 0.1 }],
    [unigram, { dropout: 0.1 }],
    [unigram, { alpha: -1 }],
    [unigram, {}],
    [await trained, { dropout: 1.5 }],
    [await trained, { dropout: 0.1, seed: -1 }],
    [await trained, { dropout: Number.NaN }],
  ] as const) {
    t.throws(() => tokenizer.encode("a", { sampling: bad }), { instanceOf: OptionError });
  }
});
