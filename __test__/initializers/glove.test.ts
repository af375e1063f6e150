import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FileError, FormatError, glove, input, layers, model, OptionError, StateError } from "../../src/index.ts";

const data = new URL("../../data/", import.meta.url).pathname;
const common = join(data, "glove.6B.50d.top9k.txt.gz");
const tokens = ["<pad>", "<unk>", "the", "house", "xqzzy"];
const vocabulary = { size: tokens.length, tokens };

function tableModel(options: Partial<Parameters<typeof layers.embedding>[0]>) {
  const embedding = layers.embedding({ inputDim: 6, outputDim: 50, maskZero: true, vocabulary, ...options });
  const ids = input({ shape: [null], dtype: "int32" });
  return { embedding, table: model({ inputs: ids, outputs: embedding(ids) }) };
}

test("words get their vectors, others begin at random, the padding row is zero", async (t) => {
  const { embedding, table } = tableModel({ embeddingsInitializer: glove({ path: common }) });
  await table.build({ seed: 4 });
  const { data: rows, shape } = (await table.getWeights())[0]!;
  t.deepEqual(shape, [6, 50]);
  const row = (index: number) => rows.subarray(50 * index, 50 * (index + 1));
  t.true(row(0).every((value) => value === 0));
  t.deepEqual(row(2).subarray(0, 3), Float32Array.of(0.418, 0.24968, -0.41242), "the first line of GloVe");
  for (const index of [1, 4, 5]) {
    t.true(row(index).every((value) => Math.abs(value) <= 0.05));
    t.true(new Set(row(index)).size > 40, "random");
  }
  t.deepEqual(await embedding.coverage(), { found: ["the", "house"], notFound: ["<unk>", "xqzzy"] });

  const { table: again } = tableModel({ embeddingsInitializer: glove({ path: common }) });
  await again.build({ seed: 4 });
  t.deepEqual((await again.getWeights())[0]!.data, rows);
  const { table: other } = tableModel({ embeddingsInitializer: glove({ path: common }) });
  await other.build({ seed: 5 });
  const otherRows = (await other.getWeights())[0]!.data;
  t.deepEqual(otherRows.subarray(100, 200), rows.subarray(100, 200));
  t.notDeepEqual(otherRows.subarray(50, 100), rows.subarray(50, 100));
});

test("later files fill words that earlier ones lack", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-glove-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const [first, second] = [join(folder, "first.txt"), join(folder, "second.txt")];
  await writeFile(first, "the 1 2\nxqzzy 3 4\n");
  await writeFile(second, "the 5 6\nhouse 7 8\n");
  const { embedding, table } = tableModel({ outputDim: 2, embeddingsInitializer: glove({ path: [first, second] }) });
  t.deepEqual((await embedding.coverage()).notFound, ["<unk>"], "coverage reads the files before build");
  await table.build();
  t.deepEqual((await table.getWeights())[0]!.data.subarray(4, 10), Float32Array.of(1, 2, 7, 8, 3, 4));
});

test("unknown words begin as zeros or as the mean of those found, if that is wanted", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-glove-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, "vectors.txt");
  await writeFile(path, "other 9 9\nthe 1 2\nhouse 3 6\n");
  const rows = async (options: Parameters<typeof glove>[0]) => {
    const { table } = tableModel({ outputDim: 2, embeddingsInitializer: glove(options) });
    await table.build();
    return [...(await table.getWeights())[0]!.data];
  };
  t.deepEqual(await rows({ path, unknownWords: "zeros" }), [0, 0, 0, 0, 1, 2, 3, 6, 0, 0, 0, 0]);
  t.deepEqual(await rows({ path, unknownWords: "mean" }), [0, 0, 2, 4, 1, 2, 3, 6, 2, 4, 2, 4]);
  await writeFile(path, "other 9 9\n");
  t.deepEqual(await rows({ path, unknownWords: "mean" }), new Array(12).fill(0));
  t.throws(() => glove({ path, unknownWords: "random" as "mean" }), { instanceOf: OptionError });
});

test("without maskZero id 0 is a word", async (t) => {
  const words = { size: 2, tokens: ["the", "house"] };
  const { table } = tableModel({
    inputDim: 2,
    maskZero: false,
    vocabulary: words,
    embeddingsInitializer: `glove:${common}`,
  });
  await table.build();
  t.is((await table.getWeights())[0]!.data[0], Math.fround(0.418));
});

test("glove:50d is looked for where SCONCE_GLOVE says", async (t) => {
  const before = process.env.SCONCE_GLOVE;
  t.teardown(() => {
    if (before === undefined) delete process.env.SCONCE_GLOVE;
    else process.env.SCONCE_GLOVE = before;
  });
  process.env.SCONCE_GLOVE = common;
  const { embedding } = tableModel({ embeddingsInitializer: "glove:50d" });
  t.deepEqual((await embedding.coverage()).found, ["the", "house"]);
  process.env.SCONCE_GLOVE = data;
  const missing = tableModel({ embeddingsInitializer: "glove:50d", name: "words" });
  await t.throwsAsync(missing.table.build(), {
    instanceOf: FileError,
    message: /layer words: there is no .*data\/glove\.6B\.50d\.txt or \.txt\.gz: set SCONCE_GLOVE/,
  });
});

test("nothing is read before build, and a missing file rejects there, naming path and layer", async (t) => {
  const { embedding, table } = tableModel({ embeddingsInitializer: "glove:./no-such-file.txt", name: "words" });
  const error = { instanceOf: FileError, message: /layer words: there is no file .*no-such-file\.txt/ };
  await t.throwsAsync(table.build(), error);
  await t.throwsAsync(embedding.coverage(), error);
});

test("vectors of another width are refused, naming path and layer", async (t) => {
  const { table } = tableModel({ outputDim: 49, embeddingsInitializer: glove({ path: common }), name: "words" });
  await t.throwsAsync(table.build(), { instanceOf: FormatError, message: /layer words: .*top9k\.txt\.gz/ });
});

test("trainable of the long form freezes the layer unless the layer says otherwise", (t) => {
  const start = glove({ path: common, trainable: false });
  t.false(tableModel({ embeddingsInitializer: start }).embedding.trainable);
  t.true(tableModel({ embeddingsInitializer: start, trainable: true }).embedding.trainable);
  t.true(tableModel({ embeddingsInitializer: glove({ path: common }) }).embedding.trainable);
});

test("wrong uses are refused", async (t) => {
  for (const make of [
    () => glove({ path: [] }),
    () => glove({ path: "" }),
    () => glove({ file: common } as never),
    () => glove({ path: common, trainable: "no" as never }),
    () => layers.embedding({ inputDim: 6, outputDim: 50, embeddingsInitializer: glove({ path: common }) }),
    () => tableModel({ inputDim: 4, embeddingsInitializer: glove({ path: common }) }),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
  await t.throwsAsync(tableModel({}).embedding.coverage(), { instanceOf: StateError });
});

test("an aborted build rejects with the reason of its signal", async (t) => {
  const { table } = tableModel({ embeddingsInitializer: glove({ path: common }) });
  const reason = new Error("enough");
  const error = await t.throwsAsync(table.build({ signal: AbortSignal.abort(reason) }));
  t.is(error, reason);
  await t.notThrowsAsync(table.build());
});
