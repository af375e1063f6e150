import test from "ava";
import fc from "fast-check";
import { Tokenizer, type TokenizerOptions } from "../../src/data/tokenizer.ts";
import { DataError, FormatError, OptionError } from "../../src/errors.ts";

const lines = ["Hello, world!", "Hello again.", "你好。"];

test("a character tokenizer gives every text of its characters back, in composed form", async (t) => {
  const alphabet = "abc \té\u0301e\u{1f600}你";
  const tokenizer = await Tokenizer.train([alphabet.normalize("NFC"), "é\u00e9ý"], { type: "character" });
  const unit = fc.constantFrom(...tokenizer.vocabulary.tokens.slice(4));
  fc.assert(
    fc.property(fc.string({ unit }), (text) => {
      const composed = text.normalize("NFC");
      // Composing two known characters may give one that never occurred.
      fc.pre([...composed].every((character) => tokenizer.vocabulary.has(character)));
      t.is(tokenizer.decode(tokenizer.encode(text, { addBegin: true, addEnd: true })), composed);
    }),
  );
  t.deepEqual(tokenizer.encode("e\u0301"), tokenizer.encode("\u00e9"));
});

test("a word tokenizer encodes with and without begin and end, and knows lower case", async (t) => {
  const tokenizer = await Tokenizer.train(lines, { type: "word", lowercase: true });
  t.deepEqual(tokenizer.vocabulary.tokens.slice(4), ["hello", "!", ",", ".", "again", "world", "。", "你", "好"]);
  t.deepEqual([...tokenizer.encode("HELLO there", { addBegin: true, addEnd: true })], [2, 4, 1, 3]);
  t.deepEqual([...tokenizer.encode("")], []);
  t.is(tokenizer.decode([2, 4, 6, 9, 5, 3, 0, 0]), "hello, world!");
  t.is(tokenizer.decode([1]), "<unk>");
  t.throws(() => tokenizer.decode([99]), { instanceOf: DataError });
});

test("the text of special tokens is ordinary text", async (t) => {
  const tokenizer = await Tokenizer.train(["<s> </s> <pad>"], { type: "word" });
  t.true([...tokenizer.encode("</s><pad>")].every((id) => id > 3));
});

test("halves of surrogate pairs become replacement characters", async (t) => {
  const tokenizer = await Tokenizer.train(["a\ud800"], { type: "character" });
  t.true(tokenizer.vocabulary.has("\ufffd"));
  t.is(tokenizer.decode(tokenizer.encode("\udc00a")), "\ufffda");
});

test("training takes async iterables, stops by its signal, and repeats", async (t) => {
  async function* stream(): AsyncGenerator<string> {
    yield* lines;
  }
  const options: TokenizerOptions = { type: "word", minimumCount: 2 };
  const tokenizer = await Tokenizer.train(stream(), options);
  t.deepEqual(tokenizer.toJSON(), (await Tokenizer.train([...lines].reverse(), options)).toJSON());
  function* endless(): Generator<string> {
    for (let index = 0; ; index++) yield `word${index % 100}`;
  }
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 20);
  t.is(await t.throwsAsync(Tokenizer.train(endless(), { type: "word", signal: controller.signal })), reason);
});

test("wrong options and lines are typed errors", async (t) => {
  for (const bad of [
    {},
    { type: "sentencepiece" },
    { type: "word", vocabularySize: 4 },
    { type: "word", vocabularySize: Number.POSITIVE_INFINITY },
    { type: "word", minimumCount: 0.5 },
    { type: "word", lowercase: 1 },
    { type: "word", lowerCase: true },
  ]) {
    await t.throwsAsync(Tokenizer.train(lines, bad as TokenizerOptions), { instanceOf: OptionError });
  }
  await t.throwsAsync(Tokenizer.train([], { type: "word" }), { instanceOf: DataError });
  await t.throwsAsync(Tokenizer.train([" "], { type: "word" }), { instanceOf: DataError });
  await t.throwsAsync(Tokenizer.train([5 as unknown as string], { type: "word" }), { instanceOf: DataError });
  const tokenizer = await Tokenizer.train(lines, { type: "word" });
  t.throws(() => tokenizer.encode(null as unknown as string), { instanceOf: DataError });
});

test("JSON gives the same tokenizer, and hostile JSON is a FormatError", async (t) => {
  for (const type of ["word", "character"] as const) {
    const tokenizer = await Tokenizer.train(lines, { type, lowercase: true });
    const json = JSON.parse(JSON.stringify(tokenizer)) as Record<string, unknown>;
    const again = Tokenizer.fromJSON(json);
    t.deepEqual(again.toJSON(), tokenizer.toJSON());
    t.deepEqual(again.encode("Hello 你?"), tokenizer.encode("Hello 你?"));
    const tokens = json.tokens as string[];
    for (const bad of [
      null,
      [],
      "x",
      { ...json, format: "other" },
      { ...json, version: 2 },
      { ...json, type: "__proto__" },
      { ...json, lowercase: "no" },
      { ...json, tokens: undefined },
      { ...json, tokens: { length: 1e9 } },
      { ...json, tokens: [...tokens, tokens[5]] },
      { ...json, tokens: tokens.slice(1) },
      { ...json, tokens: [...tokens, type === "word" ? "a b" : "ab"] },
    ]) {
      t.throws(() => Tokenizer.fromJSON(bad), { instanceOf: FormatError });
    }
  }
});
