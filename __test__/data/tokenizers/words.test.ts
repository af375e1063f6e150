import test from "ava";
import fc from "fast-check";
import { joinWords, splitWords } from "../../../src/data/tokenizers/words.ts";

const cut: Record<string, string> = {
  "I don't know, Tom's here.": "I do n't know , Tom 's here .",
  "It’s well-known!": "It ’s well-known !",
  "At 9:30 p.m. it cost $1,000.50...": "At 9:30 p.m. it cost $ 1,000.50 ...",
  "我在用Python 3。": "我 在 用 Python 3 。",
  "L'été à Zürich": "L'été à Zürich",
  すしを食べる: "す し を 食 べ る",
  "  \t ": "",
  "👍🏽 a\u0301b": "👍 🏽 a\u0301b",
};

for (const [text, tokens] of Object.entries(cut)) {
  test(`cuts ${JSON.stringify(text)}`, (t) => t.deepEqual(splitWords(text), tokens === "" ? [] : tokens.split(" ")));
}

const sentences = [
  "I don't know, Tom's here.",
  'He said, "I am here." Then he left.',
  "“Well-known (or not)”, he said; it cost $5 or 3%!",
  "我们在这里等他吗？",
  "“你好！”他说。",
  "Wait... what?",
];

for (const text of sentences) {
  test(`puts the spaces of ${JSON.stringify(text)} back`, (t) => t.is(joinWords(splitWords(text)), text));
}

test("no character but white space is lost", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      t.is(splitWords(text).join(""), text.replace(/\s/gu, ""));
    }),
  );
});

test("cutting is linear: a long hostile line does not stop the process", (t) => {
  t.is(splitWords("a-".repeat(200_000)).length, 2);
  t.is(splitWords("'".repeat(200_000)).length, 200_000);
  t.is(splitWords(`${"n".repeat(400_000)}'`).length, 2);
});
