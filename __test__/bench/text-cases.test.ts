import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test from "ava";
import type { Place } from "../../bench/lstm-step-cases.ts";
import { prepareMulti30k } from "../../bench/multi30k.ts";
import { measured, Worker } from "../../bench/worker.ts";
import { bleu, chrf } from "../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-text-cases-"));
test.after.always(() => rmSync(folder, { recursive: true }));

function written(name: string, lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, gzipSync(`${lines.join("\n")}\n`));
  return path;
}

/** Rows of ids at a place. */
function rowsAt(bytes: Buffer, { shape: [rows = 0, length = 0], offset }: Place): number[][] {
  const ids = new Int32Array(new Uint8Array(bytes.subarray(offset, offset + 4 * rows * length)).buffer);
  return Array.from({ length: rows }, (_, row) => [...ids.subarray(row * length, (row + 1) * length)]);
}

test("pairs become batches of limited size, each pair once an epoch, the goal one step ahead of what the decoder reads", async (t) => {
  const words = ["eins", "zwei", "drei", "vier"];
  const pairs = Array.from({ length: 700 }, (_, index) => {
    const target = Array.from({ length: 1 + (index % 13) }, (_, at) => words[(index + at) % 4]).join(" ");
    return `one ${index}\t${target}`;
  });
  const files = {
    training: written("pairs.train.tsv.gz", pairs),
    validation: written("pairs.val.tsv.gz", pairs.slice(0, 50)),
  };
  const idsFile = join(folder, "pairs.ids");
  const text = await prepareMulti30k(files, 6, idsFile);
  const bytes = readFileSync(idsFile);
  t.is(text.batches.length, 6);
  t.true(text.vocabulary > 4 && text.vocabulary <= 8000);
  let seen = 0;
  const ends: number[] = [];
  for (const [index, [source, decoder, goal]] of text.batches.entries()) {
    const [rows = 0, length = 0] = decoder!.shape;
    t.true(rows * length <= 4096);
    t.deepEqual(goal!.shape, decoder!.shape);
    t.is(source!.shape[0], rows);
    const goals = rowsAt(bytes, goal!);
    t.is(goals.flat().filter((id) => id !== 0).length, text.tokens[index]!);
    for (const [row, ids] of rowsAt(bytes, decoder!).entries()) {
      const valid = ids.filter((id) => id !== 0).length;
      t.deepEqual(ids.slice(1, valid), goals[row]!.slice(0, valid - 1));
      t.true(ids.slice(valid).every((id) => id === 0) && goals[row]!.slice(valid).every((id) => id === 0));
    }
    seen += rows;
    ends.push(seen);
  }
  t.true(ends.includes(700) && seen > 700, "the second epoch begins when the first has ended");
  t.is(
    text.validation.reduce((sum, [source]) => sum + source!.shape[0]!, 0),
    50,
  );
});

test("a language model of words: lines end in a token, nothing is unknown, and it tells its losses", async (t) => {
  const lines = Array.from({ length: 60 }, (_, index) => ` the <unk> ${index % 5} , ends \u00a0 here `);
  const files = {
    training: written("words.train.gz", lines),
    validation: written("words.valid.gz", lines.slice(0, 7)),
    test: written("words.test.gz", [...lines.slice(0, 3), " ", " only-here "]),
  };
  const worker = new Worker(measured("language-model.mjs"));
  try {
    const idsFile = join(folder, "words.ids");
    const text = await worker.ask<{ vocabulary: number; texts: Record<string, Place> }>({
      command: "prepare",
      files,
      tokens: null,
      idsFile,
    });
    // Four special tokens, of which one is in the text, and the words the, ",", ends, here, only-here and five digits.
    t.is(text.vocabulary, 14);
    t.deepEqual(
      Object.values(text.texts).map(({ shape }) => shape),
      [[60 * 7], [7 * 7], [3 * 7 + 1 + 2]],
    );
    const bytes = readFileSync(idsFile);
    const [ids] = rowsAt(bytes, { ...text.texts.test!, shape: [1, 24] });
    t.is(ids!.filter((id) => id === 1).length, 3, "only what the text calls unknown");
    t.deepEqual(
      ids!.slice(-3, -1).map((id) => id === 3),
      [true, false],
    );
    await worker.ask({
      command: "open",
      ...text,
      units: 8,
      layers: 2,
      dropout: 0.2,
      window: 5,
      rows: 4,
      clip: 0.25,
      seed: 1,
    });
    interface Epoch {
      loss: number;
      validationLoss: number;
    }
    const first = await worker.ask<Epoch>({ command: "epoch", epoch: 0, learningRate: 1 });
    await worker.ask({ command: "keep" });
    const second = await worker.ask<Epoch>({ command: "epoch", epoch: 1, learningRate: 1 });
    t.true(second.loss < first.loss && second.validationLoss < first.validationLoss);
    t.true((await worker.ask<{ loss: number }>({ command: "test" })).loss > 0);
    const short = await worker.ask<{ texts: Record<string, Place> }>({
      command: "prepare",
      files,
      tokens: 20,
      idsFile,
    });
    t.deepEqual(short.texts.training!.shape, [14]);
  } finally {
    worker.close();
  }
});

test("systems are scored on our side as by the public functions", async (t) => {
  const rows = [
    ["src", "refA", "refB", "one", "two"],
    ["a dog", "一只狗。", "一条狗。", "一只狗", "狗"],
    ["a cat", "一只猫", "猫", "一只猫", "一只狗"],
  ];
  const file = written(
    "systems.tsv.gz",
    rows.map((row) => row.join("\t")),
  );
  const column = (name: number) => rows.slice(1).map((row) => row[name]!);
  const worker = new Worker(measured("metrics.mjs"));
  t.teardown(() => worker.close());
  t.deepEqual(await worker.ask({ command: "open", file, lines: null }), { systems: 2, segments: 2 });
  const { scores } = await worker.ask<{ scores: number[][] }>({ command: "score", references: ["refB", "refA"] });
  const references = [column(2), column(1)];
  const expected = [3, 4].map((system) => [
    bleu(column(system), references, { tokenize: "zh" }).score,
    chrf(column(system), references).score,
  ]);
  t.deepEqual(scores, expected);
});
