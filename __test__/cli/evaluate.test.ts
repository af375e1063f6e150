import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { bleu, Seq2Seq, Tokenizer } from "../../src/index.ts";
import { sconce } from "../helpers/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-evaluate-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

test("evaluate prints BLEU with its signature", async (t) => {
  const pairs = ["ab", "ba", "abb", "bab"].map((word) => [word, [...word].join(" ")] as [string, string]);
  const source = await Tokenizer.train(
    pairs.map(([text]) => text),
    { type: "character" },
  );
  const target = await Tokenizer.train(
    pairs.map(([, text]) => text),
    { type: "character" },
  );
  await using translator = Seq2Seq.recurrent({ source, target, units: 12 });
  await translator.fit(pairs, { epochs: 2, verbose: "silent" });
  const place = join(folder, "model");
  await translator.save(place);
  const file = join(folder, "test.tsv");
  writeFileSync(file, pairs.map((pair) => `${pair.join("\t")}\n`).join(""));
  const made = await translator.generate(
    pairs.map(([text]) => text),
    { maxNewTokens: 5 },
  );
  const expected = bleu(
    made.map(({ text }) => text),
    pairs.map(([, text]) => text),
    { tokenize: "char", lowercase: true },
  );

  const args = ["--metrics", "bleu", "--tokenize", "char", "--lowercase", "--max-new-tokens", "5"];
  const { status, output, error } = await sconce(["evaluate", place, "--test", file, ...args, "--json"]);
  t.is(status, 0, error);
  t.like(JSON.parse(output), { bleu: expected.score, signatures: { bleu: expected.signature }, pairs: 4 });
  const text = await sconce(["evaluate", place, "--test", file, ...args]);
  t.true(text.output.includes(`BLEU ${expected.score.toFixed(2)} (${expected.signature})`), text.output);

  const beams = await translator.generate(
    pairs.map(([text]) => text),
    { maxNewTokens: 5, numBeams: 3, lengthPenalty: -2 },
  );
  const better = bleu(
    beams.map(({ text }) => text),
    pairs.map(([, text]) => text),
    { tokenize: "char", lowercase: true },
  );
  const search = ["--beams", "3", "--length-penalty=-2", "--json"];
  const searched = await sconce(["evaluate", place, "--test", file, ...args, ...search]);
  t.is(searched.status, 0, searched.error);
  t.is((JSON.parse(searched.output) as { bleu: number }).bleu, better.score);

  const other = Seq2Seq.recurrent({ source, target, units: 6 });
  await other.fit(pairs, { epochs: 1, verbose: "silent" });
  const otherPlace = join(folder, "other");
  await other.save(otherPlace);
  const both = await Seq2Seq.ensemble([translator, other], { weights: [2, 1] }).evaluate(pairs);
  const flags = ["--ensemble", otherPlace, "--ensemble-weights", "2,1", "--json"];
  const together = await sconce(["evaluate", place, "--test", file, ...flags]);
  t.is(together.status, 0, together.error);
  t.deepEqual(JSON.parse(together.output), both);
  other.dispose();

  const alone = await sconce(["evaluate", place, "--test", file, "--tokenize", "char"]);
  t.is(alone.status, 2);
  t.regex(alone.error, /need a metric of texts, such as --metrics bleu/);
  const wrong = await sconce(["evaluate", place, "--test", file, "--metrics", "bleu", "--tokenize", "14a"]);
  t.is(wrong.status, 2);
  t.regex(wrong.error, /tokenize must be one of 13a, zh, char, none, intl/);
});
