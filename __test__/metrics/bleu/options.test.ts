import test from "ava";
import { bleu, DataError, OptionError, pairedBootstrap, sentenceBleu } from "../../../src/index.ts";

const texts = ["the dog bit the man", "it was not unexpected"];

test("the same texts give 100, whatever their case if that is ignored", (t) => {
  t.is(bleu(texts, texts).score.toFixed(6), "100.000000");
  const loud = texts.map((text) => text.toUpperCase());
  t.is(bleu(loud, texts).score, 0);
  const { score, signature } = bleu(loud, texts, { lowercase: true });
  t.is(score.toFixed(6), "100.000000");
  t.regex(signature, /^nrefs:1\|case:lc\|eff:no\|tok:13a\|smooth:exp\|version:sconce-/);
});

test("a sentence is scored up to the orders that it has", (t) => {
  const { score, signature } = sentenceBleu("the dog", ["the dog", "a dog"]);
  t.is(score.toFixed(6), "100.000000");
  t.regex(signature, /^nrefs:2\|case:mixed\|eff:yes\|/);
  t.is(sentenceBleu("the dog", "the dog", { effectiveOrder: false, smoothMethod: "none" }).score, 0);
});

test("the signature has the value of the smoothing, and says where counts of references vary", (t) => {
  const { signature } = bleu(texts, [texts, [null, texts[1]!]], { smoothMethod: "add-k", tokenize: "char" });
  t.regex(signature, /^nrefs:var\|case:mixed\|eff:no\|tok:char\|smooth:add-k\[1\.00\]\|/);
});

test("wrong options are refused by name", (t) => {
  const refused = (options: object, message: RegExp) => {
    t.throws(() => bleu(texts, texts, options as never), { instanceOf: OptionError, message });
  };
  refused({ tokenize: "14a" }, /tokenize must be one of 13a, zh, char, none, intl/);
  refused({ smoothMethod: "add" }, /smoothMethod must be one of exp/);
  refused({ smoothValue: -1 }, /smoothValue/);
  refused({ maxNgramOrder: 0 }, /maxNgramOrder/);
  refused({ lowercase: 1 }, /lowercase/);
  refused({ effectiveOrder: "no" }, /effectiveOrder/);
  refused({ tokenise: "13a" }, /unknown option "tokenise"/);
  t.throws(() => pairedBootstrap(texts, texts, texts, { samples: 0 }), { instanceOf: OptionError, message: /samples/ });
  t.throws(() => pairedBootstrap(texts, texts, texts, { seed: -1 }), { instanceOf: OptionError, message: /seed/ });
});

test("texts that do not fit are refused", (t) => {
  const refused = (hypotheses: unknown, references: unknown, message: RegExp) => {
    t.throws(() => bleu(hypotheses as never, references as never), { instanceOf: DataError, message });
  };
  refused([], [], /no hypotheses/);
  refused(texts, [], /references must be a list/);
  refused(texts, ["one"], /expected 2 texts in references, one for each hypothesis, got 1/);
  refused(texts, [texts, ["one"]], /in references\[1\].*each list holds one reference of every hypothesis/);
  refused(texts, [[null, "one"]], /hypothesis 0 has no reference/);
  refused([1, "one"], texts, /hypotheses\[0\] is no text/);
  refused(texts, ["one", 2], /references\[1\] is no text/);
  refused("one", ["one"], /hypotheses must be a list/);
});

test("a paired bootstrap finds a clear difference, and none between a system and itself", (t) => {
  const references = Array.from({ length: 40 }, (_, index) => `this is sentence number ${index} of the whole text`);
  const worse = references.map((text, index) => (index % 2 === 0 ? text : text.split(" ").reverse().join(" ")));
  const found = pairedBootstrap(worse, references, references, { samples: 200, seed: 1 });
  t.true(found.difference > 20 && found.interval[0] > 0 && found.interval[1] >= found.interval[0], `${found.interval}`);
  t.true(found.pValue < 0.05);
  t.regex(found.signature, /^nrefs:1\|bs:200\|seed:1\|case:mixed/);
  t.deepEqual(pairedBootstrap(worse, references, references, { samples: 200, seed: 1 }), found);
  t.notDeepEqual(pairedBootstrap(worse, references, references, { samples: 200, seed: 2 }).interval, found.interval);
  const same = pairedBootstrap(worse, worse, references, { samples: 200 });
  t.deepEqual([same.difference, ...same.interval], [0, 0, 0]);
});
