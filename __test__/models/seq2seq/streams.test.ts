import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  backupAndRestore,
  type Callback,
  DataError,
  OptionError,
  type Pairs,
  ParallelText,
  Seq2Seq,
  type Seq2SeqFitOptions,
  streamParallelText,
  Tokenizer,
} from "../../../src/index.ts";
import { EncodedPairs } from "../../../src/models/seq2seq/encoded-pairs.ts";
import { textbook } from "../../helpers/textbook.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sconce-streams-"));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

const pairs = Array.from({ length: 150 }, (_, index): [string, string] => {
  const word = "abc".repeat(1 + (index % 4)).slice(0, 1 + ((index * 7) % 9));
  return [word, [...word].reverse().join("")];
});
const tokenizer = Tokenizer.train(pairs.flat(), { type: "character" });
const table = async () => {
  const path = join(folder, "pairs.tsv");
  await writeFile(path, pairs.map((pair) => `${pair.join("\t")}\n`).join(""));
  return path;
};
const quiet = { epochs: 2, batchSize: 16, seed: 3, verbose: "silent", optimizer: "adam" } as const;

/** Weights after training. */
async function trained(data: Pairs, options: Seq2SeqFitOptions = {}) {
  const own = await tokenizer;
  const { translator } = textbook({ vocabulary: own.vocabulary.size });
  await using network = Seq2Seq.fromModel({ model: translator, source: own, target: own });
  const { history } = await network.fit(data, { ...quiet, ...options });
  return { history, weights: await translator.getWeights() };
}

test("a stream whose ids are kept is trained on as pairs in memory are", async (t) => {
  const stream = streamParallelText(await table());
  const expected = await trained(pairs);
  t.deepEqual(await trained(ParallelText.from(pairs), { keepIds: true }), expected);
  t.deepEqual(await trained(stream, { keepIds: true }), expected);
  // One window holds all of them.
  t.deepEqual(await trained(stream), expected);
  await t.throwsAsync(trained(stream.filter(() => false), { keepIds: true }), { instanceOf: DataError, message: /no sentence pairs/ }); // biome-ignore format: long
  await t.throwsAsync(trained(stream, { keepIds: "yes" as unknown as boolean }), { instanceOf: OptionError });
});

test("an interrupted run on a stream ends with the bits of one that was not", async (t) => {
  const stream = () => streamParallelText(file).shuffle(5, { window: 40 });
  const file = await table();
  const expected = await trained(stream());
  for (const stop of [4, 11]) {
    const backup = backupAndRestore({ folder: join(folder, `backup${stop}`), saveFreq: 3 });
    let steps = 0;
    const killed = new Error("killed");
    const kill: Callback = {
      onBatchEnd() {
        steps += 1;
        if (steps === stop) throw killed;
      },
    };
    await t.throwsAsync(trained(stream(), { callbacks: [backup, kill] }), { is: killed });
    steps = -100;
    t.deepEqual(await trained(stream(), { callbacks: [backup, kill] }), expected);
    t.true(steps < -100 + 20, "it began anew");
  }
});

test("pairs in memory take little more than their ids", (t) => {
  const encoded = new EncodedPairs();
  const ids = (seed: number, length: number) => Int32Array.from({ length }, (_, index) => seed * 31 + index);
  const count = 300_000;
  let sum = 0;
  for (let index = 0; index < count; index++) {
    const pair = { source: ids(index, index % 13), target: ids(-index, 2 + (index % 17)) };
    sum += pair.source.length + pair.target.length;
    encoded.push(pair);
  }
  t.is(encoded.length, count);
  for (const index of [0, 1, 12, 13, 150_000, count - 1]) {
    t.deepEqual(encoded.at(index), { source: ids(index, index % 13), target: ids(-index, 2 + (index % 17)) });
  }
  const held = new Set<ArrayBufferLike>();
  for (let index = 0; index < count; index++) held.add(encoded.at(index).source.buffer);
  const bytes = [...held].reduce((total, { byteLength }) => total + byteLength, 0);
  // The last of the parts may be empty.
  t.true(bytes <= 4 * (sum + 2 * count) + 8 * 2 ** 20, `${bytes} bytes for ${sum} ids`);
  t.throws(() => encoded.push({ source: new Int32Array(2 ** 21), target: ids(1, 2) }), { instanceOf: DataError });
});
