import test from "ava";
import { Tokenizer } from "../../../src/data/tokenizer.ts";
import { FormatError } from "../../../src/errors.ts";
import { readSeq2SeqDocument } from "../../../src/models/seq2seq/document.ts";

test("hostile documents are FormatErrors, good ones are read", async (t) => {
  const tokenizer = (await Tokenizer.train(["ab"], { type: "character" })).toJSON();
  const good = {
    format: "sconce-seq2seq",
    version: 1,
    source: tokenizer,
    target: tokenizer,
    encoderInput: 0,
    decoderInput: 1,
    output: 0,
    begin: 2,
    end: 3,
  };
  const read = readSeq2SeqDocument(JSON.stringify(good));
  t.deepEqual(read.choices, { encoderInput: 0, decoderInput: 1, output: 0 });
  t.deepEqual([read.begin, read.end, read.target.vocabulary.size], [2, 3, 6]);
  for (const bad of [
    "",
    "null",
    "[]",
    "{",
    ...[
      { format: "x" },
      { version: 2 },
      { source: {} },
      { target: null },
      { encoderInput: 2 },
      { decoderInput: -1 },
      { output: 0.5 },
      { begin: 6 },
      { end: "3" },
    ].map((change) => JSON.stringify({ ...good, ...change })),
  ]) {
    t.throws(() => readSeq2SeqDocument(bad), { instanceOf: FormatError }, bad);
  }
});
