import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test from "ava";
import { ParallelText } from "../../src/data/parallel-text.ts";
import { readParallelText } from "../../src/data/readers/parallel-text.ts";
import { DataError, FileError, FormatError, OptionError } from "../../src/errors.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sconce-data-"));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test("plain and gzip tables give the same pairs, whatever ends the lines", async (t) => {
  const expected = [
    { source: "Hi.", target: "你好。" },
    { source: "Run!", target: "跑！" },
  ];
  for (const [name, text] of [
    ["lf.tsv", "Hi.\t你好。\nRun!\t跑！\n"],
    ["crlf.tsv", "\ufeffHi.\t你好。\r\nRun!\t跑！"],
  ] as const) {
    t.deepEqual([...(await readParallelText(await file(name, text)))], expected);
    t.deepEqual([...(await readParallelText(await file(`${name}.gz`, gzipSync(text))))], expected);
  }
});

test("the bundled pairs are read whole", async (t) => {
  const pairs = await readParallelText("data/tatoeba-en-zh.train.tsv.gz");
  t.is(pairs.length, 22446);
  t.is(pairs.skipped, 0);
  t.deepEqual(pairs.at(0), { source: pairs.sources()[0]!, target: pairs.targets()[0]! });
});

test("other columns and two files can be read", async (t) => {
  const table = await file("three.tsv", "1\ta\tb\n2\tc\td\n");
  t.deepEqual(
    [...(await readParallelText(table, { columns: [2, 1] }))],
    [
      { source: "b", target: "a" },
      { source: "d", target: "c" },
    ],
  );
  const two = [await file("two.en", "a\nb\n"), await file("two.fr", "c\nd\n")] as const;
  t.deepEqual((await readParallelText(two)).targets(), ["c", "d"]);
  const uneven = [two[0], await file("uneven.fr", "c\n")] as const;
  await t.throwsAsync(readParallelText(uneven), { instanceOf: DataError, message: /2 lines but .* has 1/ });
});

test("empty sides are counted or rejected", async (t) => {
  const path = await file("empty.tsv", "a\tb\n\t c\n\nd\t \ne\tf\n");
  const pairs = await readParallelText(path);
  t.deepEqual([pairs.length, pairs.skipped], [2, 3]);
  await t.throwsAsync(readParallelText(path, { emptySides: "error" }), {
    instanceOf: DataError,
    message: /line 2: the source/,
  });
  await t.throwsAsync(readParallelText(await file("nothing.tsv", "\n\t\n")), {
    instanceOf: DataError,
    message: /no sentence pairs/,
  });
  await t.throwsAsync(readParallelText(await file("zero.tsv", "")), { instanceOf: DataError });
});

test("each fault names its line", async (t) => {
  const many = "a\tb\n".repeat(40_000);
  const bad = Buffer.concat([Buffer.from(many), Buffer.from([0x61, 0x09, 0xff, 0x0a]), Buffer.from(many)]);
  await t.throwsAsync(readParallelText(await file("latin.tsv", bad)), {
    instanceOf: DataError,
    message: /line 40001: not valid UTF-8/,
  });
  await t.throwsAsync(readParallelText(await file("one.tsv", "a\tb\nc\n")), {
    instanceOf: DataError,
    message: /line 2: 1 tab-separated column,/,
  });
  await t.throwsAsync(readParallelText(await file("endless.tsv", Buffer.alloc(3 << 20, "a"))), {
    instanceOf: DataError,
    message: /line 1: longer/,
  });
});

test("a character cut by a block boundary is whole again", async (t) => {
  const pairs = Array.from({ length: 30_000 }, (_, index) => ({
    source: `s${index}`,
    target: "汉字".repeat((index % 7) + 1),
  }));
  const text = pairs.map(({ source, target }) => `${source}\t${target}\n`).join("");
  t.deepEqual([...(await readParallelText(await file("long.tsv", text)))], pairs);
});

test("files that cannot be read reject with typed errors", async (t) => {
  await t.throwsAsync(readParallelText(join(folder, "missing.tsv")), {
    instanceOf: FileError,
    message: /missing\.tsv/,
  });
  await t.throwsAsync(readParallelText(folder), { instanceOf: FileError });
  const packed = gzipSync("a\tb\n".repeat(10_000));
  const cut = await file("cut.gz", packed.subarray(0, packed.length / 2));
  await t.throwsAsync(readParallelText(cut), { instanceOf: FormatError, message: /cut\.gz/ });
});

test("an aborted signal ends reading with its reason", async (t) => {
  const path = await file("signal.tsv", "a\tb\n");
  const reason = new Error("enough");
  t.is(await t.throwsAsync(readParallelText(path, { signal: AbortSignal.abort(reason) })), reason);
});

test("misspelt options are refused", async (t) => {
  // @ts-expect-error: the option does not exist
  await t.throwsAsync(readParallelText("x", { emptySide: "skip" }), { instanceOf: OptionError });
});

const numbered = ParallelText.from(Array.from({ length: 10 }, (_, index) => [`s${index}`, `t${index}`] as const));

test("pairs are split in order or by a seed, and nothing is lost", (t) => {
  const [start, rest] = numbered.split({ fraction: 0.8 });
  t.deepEqual(start.sources(), numbered.sources().slice(0, 8));
  t.deepEqual(rest.targets(), ["t8", "t9"]);
  const [drawn, left] = numbered.split({ count: 4, seed: 7 });
  t.is(drawn.length, 4);
  t.deepEqual([...drawn.sources(), ...left.sources()].sort(), [...numbered.sources()]);
  t.notDeepEqual(drawn.sources(), numbered.sources().slice(0, 4));
  t.throws(() => numbered.split({ count: 10 }), { instanceOf: DataError });
  t.throws(() => numbered.split({}), { instanceOf: OptionError });
});

test("a sample depends on its seed alone", (t) => {
  t.deepEqual(numbered.sample(5, 3).sources(), numbered.sample(5, 3).sources());
  t.notDeepEqual(numbered.sample(5, 3).sources(), numbered.sample(5, 4).sources());
  t.is(new Set(numbered.sample(99, 1).sources()).size, 10);
  t.throws(() => numbered.sample(1, -1), { instanceOf: OptionError });
});

test("pairs that are none are refused", (t) => {
  t.throws(() => ParallelText.fromColumns(["a"], []), { instanceOf: DataError });
  const wrong = [
    ["a", "b"],
    ["c", 1],
  ] as unknown as [string, string][];
  t.throws(() => ParallelText.from(wrong), { instanceOf: DataError, message: /pair 1: the target/ });
});
