import test from "ava";
import { Vocabulary } from "../../src/data/vocabulary.ts";
import { DataError, FormatError, OptionError } from "../../src/errors.ts";

const counts = new Map([
  ["rare", 1],
  ["b", 2],
  ["a", 2],
  ["\u{10400}", 2], // UTF-16 sorts it before U+FF01
  ["\uff01", 2],
  ["often", 9],
]);

test("tokens come from frequent to rare, then by code point, whatever the order of counting", (t) => {
  const order = ["<pad>", "<unk>", "<s>", "</s>", "often", "a", "b", "\uff01", "\u{10400}", "rare"];
  t.deepEqual(Vocabulary.fromCounts(counts).tokens, order);
  t.deepEqual(Vocabulary.fromCounts(new Map([...counts].reverse())).tokens, order);
});

test("limit and minimum count keep the frequent tokens; the limit counts the special ones", (t) => {
  t.deepEqual(Vocabulary.fromCounts(counts, { limit: 6 }).tokens.slice(4), ["often", "a"]);
  t.is(Vocabulary.fromCounts(counts, { limit: 6 }).size, 6);
  t.false(Vocabulary.fromCounts(counts, { minimumCount: 2 }).has("rare"));
  t.throws(() => Vocabulary.fromCounts(counts, { limit: 4 }), { instanceOf: OptionError });
  t.throws(() => Vocabulary.fromCounts(counts, { minimumCount: 0 }), { instanceOf: OptionError });
  t.throws(() => Vocabulary.fromCounts(new Map([["", 1]])), { instanceOf: DataError });
});

test("ids and tokens belong to each other, and what is missing is unknown", (t) => {
  const vocabulary = Vocabulary.fromCounts(counts);
  for (const [id, token] of vocabulary.tokens.entries()) {
    t.is(vocabulary.id(token), id);
    t.is(vocabulary.token(id), token);
  }
  t.is(vocabulary.id("never"), vocabulary.unknown);
  t.is(vocabulary.id("constructor"), vocabulary.unknown);
  t.throws(() => vocabulary.token(10), { instanceOf: DataError, message: /id 10 .* 10 tokens/ });
  t.throws(() => vocabulary.token(-1), { instanceOf: DataError });
});

test("damaged JSON is a FormatError", (t) => {
  const good = ["<pad>", "<unk>", "<s>", "</s>", "a"];
  t.deepEqual(Vocabulary.fromJSON(JSON.parse(JSON.stringify(Vocabulary.fromJSON(good)))).tokens, good);
  for (const bad of [
    null,
    {},
    "a",
    [],
    good.slice(0, 3),
    [...good, "a"],
    [...good, ""],
    [...good, 7],
    ["a", ...good],
  ]) {
    t.throws(() => Vocabulary.fromJSON(bad), { instanceOf: FormatError });
  }
});
