import { readFileSync } from "node:fs";
import test from "ava";
import { DataError, detokenize, OptionError, Tokenizer } from "../../src/index.ts";

type Case = [language: string, unescapes: boolean, tokens: string, text: string];
const cases = JSON.parse(readFileSync("__test__/golden/tokenizers/detokenized.json", "utf8")) as Case[];

/** Marks that have no spaces around them in Chinese and Japanese, which sacremoses leaves as they come. */
const wide = /[ ]?([·—…‘-”\u3000-\u3020・\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\uffe0-\uffe6]+)[ ]?/gu;

test("words and marks become the text that sacremoses makes of them", (t) => {
  let compared = 0;
  for (const [language, unescapes, tokens, text] of cases) {
    const isWide = language === "zh" || language === "ja";
    // A quotation mark there, which sacremoses counts.
    if (isWide && tokens.includes("“")) continue;
    const expected = isWide ? text.replace(wide, "$1") : text;
    t.is(detokenize(tokens, { language, unescape: unescapes }), expected, `${language}: ${tokens}`);
    t.is(detokenize(tokens.split(" "), { language, unescape: unescapes }), expected);
    compared += 1;
  }
  t.true(compared > 1900);
});

test("what sacremoses has no rule for stands where it does in plain text", (t) => {
  t.is(detokenize("I do n't know Tom ’s house ."), "I don't know Tom’s house.");
  t.is(detokenize("我们 说 ： “ 你好 ， Tom ” ！", { language: "zh-CN" }), "我们说：“你好，Tom”！");
  t.is(detokenize(["a", "b"], { language: "xx" }), "a b");
  t.is(detokenize([]), "");
});

test("tokenizers of words decode by the rules of a language", async (t) => {
  const texts = ["Qu' est-ce que c' est ?", 'Er sagte : „ Hallo “ und 5 % " mehr "', "I don't know."];
  const word = await Tokenizer.train(texts, { type: "word" });
  t.is(word.decode(word.encode("est-ce que c ?"), { language: "fr" }), "est-ce que c ?");
  t.is(word.decode(word.encode("est-ce que c ?")), "est-ce que c?");
  t.is(word.decode(word.encode("I don't know."), { language: "en" }), "I don't know.");
  const parts = await Tokenizer.train(texts, { type: "wordPiece", vocabularySize: 70 });
  const ids = await parts.encodeBatch(["Er sagte: „Hallo“", "5%"], { addEnd: true });
  t.deepEqual(await parts.decodeBatch(ids, { language: "de" }), ["Er sagte: „Hallo“", "5%"]);
  t.deepEqual(await parts.decodeBatch(ids, { language: "fr" }), ["Er sagte : „Hallo“", "5 %"]);
  const characters = await Tokenizer.train(texts, { type: "character" });
  const refused = (call: () => unknown, message: RegExp) => t.throws(call, { instanceOf: OptionError, message });
  refused(() => characters.decode([4], { language: "en" }), /^decode: language is for tokenizers of words/);
  refused(() => word.decode([4], { language: "English" }), /language must be a code such as "en"/);
  refused(() => detokenize("a", { language: 1 as never }), /language must be a code/);
  refused(() => detokenize("a", { unescape: 1 as never }), /unescape/);
  refused(() => detokenize("a", { lang: "en" } as never), /unknown option "lang"/);
  await t.throwsAsync(characters.decodeBatch([[4]], { language: "en" }), { instanceOf: OptionError });
  t.throws(() => detokenize(["a", 1] as never), { instanceOf: DataError, message: /token 1 is no text/ });
  t.throws(() => detokenize(null as never), { instanceOf: DataError });
});
