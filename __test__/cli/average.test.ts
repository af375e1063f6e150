import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Seq2Seq, Tokenizer } from "../../src/index.ts";
import { sconce } from "../helpers/run-command.ts";
import { textbook } from "../helpers/textbook.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-average-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** A translator with random weights; returns its folder and weights. */
async function saved(name: string, seed: number, texts: readonly string[]) {
  const { translator: model } = textbook();
  await model.build({ seed });
  const tokenizer = await Tokenizer.train(texts, { type: "character" });
  const translator = Seq2Seq.fromModel({ model, source: tokenizer, target: tokenizer });
  const path = join(folder, name);
  await translator.save(path);
  return { path, weights: await model.getWeights() };
}

test("the average of translators has the mean of their weights; other kinds are refused", async (t) => {
  const texts = ["abcdefgh"];
  const all = [await saved("a", 1, texts), await saved("b", 2, texts), await saved("c", 3, texts)];
  const out = join(folder, "mean");
  const { status, error, output } = await sconce(["average", ...all.map(({ path }) => path), "--out", out, "--json"]);
  t.is(status, 0, error);
  t.like(JSON.parse(output), { out, count: 3 });
  await using mean = await Seq2Seq.load(out);
  for (const [index, { data, shape }] of (await mean.model.getWeights()).entries()) {
    t.deepEqual(shape, all[0]!.weights[index]!.shape);
    const expected = Float32Array.from(data, (_, at) => {
      return all.reduce((sum, { weights }) => sum + weights[index]!.data[at]!, 0) / 3;
    });
    t.deepEqual(data, expected);
  }

  const other = await saved("d", 1, ["ijklmnop"]);
  const nowhere = join(folder, "nowhere");
  const refused = await sconce(["average", all[0]!.path, other.path, "--out", nowhere]);
  t.is(refused.status, 1);
  t.regex(refused.error, /another kind of translator/);
  t.false(existsSync(nowhere));
  t.is((await sconce(["average", all[0]!.path, "--out", nowhere])).status, 2);
  t.is((await sconce(["average", all[0]!.path, all[1]!.path])).status, 2);
});
