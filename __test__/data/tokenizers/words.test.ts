import test from "ava";
import fc from "fast-check";
import { Tokenizer } from "../../../src/data/tokenizer.ts";

const cut: Record<string, string> = {
  "I don't know, Tom's here.": "I do n't know , Tom 's here .",
  "It’s well-known!": "It ’s well-known !",
  "At 9:30 p.m. it cost $1,000.50...": "At 9:30 p.m. it cost $ 1,000.50 ...",
  "我在用Python 3。": "我 在 用 Python 3 。",
  "L'été à Zürich": "L'été à Zürich",
  すしを食べる: "す し を 食 べ る",
  "  \t ": "",
  "👍🏽 a\u0301b": "👍 🏽 \u00e1b",
  "n't 's don'T e.g. 3.5.": "n't ' s do n'T e.g. 3.5 .",
};

const sentences = [
  "I don't know, Tom's here.",
  'He said, "I am here." Then he left.',
  "“Well-known (or not)”, he said; it cost $5 or 3%!",
  "我们在这里等他吗？",
  "“你好！”他说。",
  "Wait... what?",
];

const words = Tokenizer.train([...Object.keys(cut), ...sentences], { type: "word" });

for (const [text, tokens] of Object.entries(cut)) {
  test(`cuts ${JSON.stringify(text)}`, async (t) => {
    t.deepEqual((await words).tokenize(text), tokens === "" ? [] : tokens.split(" "));
  });
}

for (const text of sentences) {
  test(`puts the spaces of ${JSON.stringify(text)} back`, async (t) => {
    const tokenizer = await words;
    t.is(tokenizer.decode(tokenizer.encode(text)), text);
  });
}

test("no character but white space is lost", async (t) => {
  const tokenizer = await words;
  // JavaScript and Unicode differ in these two.
  const isOrdinary = (text: string) => !/[\u0085\ufeff]/u.test(text);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }).filter(isOrdinary), (text) => {
      t.is(tokenizer.tokenize(text).join(""), text.normalize("NFC").replace(/\s/gu, ""));
    }),
  );
});

test("cutting is linear: a long hostile line does not stop the process", async (t) => {
  const tokenizer = await words;
  t.is(tokenizer.tokenize("a-".repeat(200_000)).length, 2);
  t.is(tokenizer.tokenize("'".repeat(200_000)).length, 200_000);
  t.is(tokenizer.tokenize(`${"n".repeat(400_000)}'`).length, 2);
});
