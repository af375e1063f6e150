import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { DataError, FormatError, OptionError, segmentChinese, Tokenizer } from "../../src/index.ts";

type Case = [text: string, words: string[], known: string[]];
const cases = JSON.parse(readFileSync("__test__/golden/tokenizers/chinese-words.json", "utf8")) as Case[];

test("words are those of jieba, with new ones and without", (t) => {
  for (const [text, words, known] of cases) {
    t.deepEqual(segmentChinese(text), words, text);
    t.deepEqual(segmentChinese(text, { newWords: false }), known, text);
  }
});

/** Words are joined without spaces beside Chinese. */
const besideChinese = /(?<=\p{Script=Han}) | (?=\p{Script=Han})/gu;
const texts = [
  "我来到北京清华大学。",
  "他来到了网易杭研大厦，喝3杯咖啡",
  "Tom在北京大学 learns 汉语",
  "我们来到清华大学 now",
];

test("tokenizers cut Chinese into words, decode it without spaces, and are the same when they are loaded", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-chinese-"));
  try {
    for (const type of ["word", "wordPiece", "bpe", "unigram"] as const) {
      const size = type === "word" ? {} : { vocabularySize: 90 };
      const tokenizer = await Tokenizer.train(texts, { type, chineseWords: true, ...size });
      const path = join(folder, `${type}.json`);
      await tokenizer.save(path);
      const copies = [await Tokenizer.load(path), Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)))];
      for (const text of texts) {
        const ids = tokenizer.encode(text);
        const joined = type === "word" || type === "wordPiece";
        t.is(tokenizer.decode(ids), joined ? text.replace(besideChinese, "") : text);
        for (const copy of copies) t.deepEqual(copy.encode(text), ids);
        const spans = tokenizer.encodeWithSpans(text);
        t.deepEqual(spans.ids, ids);
      }
      const { ids, spans } = tokenizer.encodeWithSpans("我来到北京");
      t.is(ids.length * 2, spans.length);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const word = await Tokenizer.train(texts, { type: "word", chineseWords: true });
  t.deepEqual(word.tokenize("我来到北京清华大学, Tom's"), ["我", "来到", "北京", "清华大学", ",", "Tom", "'s"]);
  t.true(word.vocabulary.tokens.includes("清华大学"));
  const { spans } = word.encodeWithSpans("在北京大学");
  t.deepEqual([...spans], [0, 1, 1, 5]);
  // No piece crosses the border of a word.
  const subwords = await Tokenizer.train(texts, { type: "bpe", chineseWords: true, vocabularySize: 200 });
  const words = new Set(texts.flatMap((text) => segmentChinese(text)));
  for (const token of subwords.tokenize(texts[0]!))
    t.true(
      [...words].some((whole) => `▁${whole}`.includes(token)),
      token,
    );
});

test("what cannot be cut into Chinese words is refused", async (t) => {
  const refused = (options: object) =>
    t.throwsAsync(Tokenizer.train(texts, { chineseWords: true, ...options } as never), {
      instanceOf: OptionError,
      message: /chineseWords needs type word, wordPiece or unigram, or bpe without byteLevel/,
    });
  await refused({ type: "character" });
  await refused({ type: "bpe", byteLevel: true });
  await t.throwsAsync(Tokenizer.train(texts, { type: "word", chineseWords: "jieba" as never }), {
    instanceOf: OptionError,
    message: /chineseWords/,
  });
  const word = await Tokenizer.train(texts, { type: "word", chineseWords: true });
  const json = JSON.stringify(word).replace('"jieba"', '"other"');
  t.throws(() => Tokenizer.fromJSON(JSON.parse(json)), { instanceOf: FormatError, message: /chinese_words "other"/ });
  t.throws(() => segmentChinese(1 as never), { instanceOf: DataError });
  t.throws(() => segmentChinese("我", { hmm: true } as never), { instanceOf: OptionError });
});
