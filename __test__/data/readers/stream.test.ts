import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createWriteStream, existsSync, readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createGzip, gzipSync } from "node:zlib";
import test from "ava";
import { streamParallelText } from "../../../src/data/readers/parallel-text.ts";
import { DataError, FileError, OptionError, StateError } from "../../../src/errors.ts";
import { type Pairs, readParallelText, type TextPair } from "../../../src/index.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sconce-stream-"));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function all(pairs: AsyncIterable<TextPair>): Promise<TextPair[]> {
  const list: TextPair[] = [];
  for await (const pair of pairs) list.push(pair);
  return list;
}

test("a stream gives what reading gives, in each epoch", async (t) => {
  const table = await file("table.csv.gz", gzipSync('"a,b",c\n,d\ne,"f\ng"\n'));
  const two = [await file("two.en", "a\nb\n"), await file("two.zh", "c\nd\n")] as const;
  const json = await file("pairs.jsonl", '{"a":"x","b":"y"}\n');
  for (const [source, options] of [
    [table, {}],
    [two, {}],
    [json, { keys: ["a", "b"] }],
    [[["a", "b"]], {}],
  ] as [string, object][]) {
    const expected = [...(await readParallelText(source, options))];
    const stream = streamParallelText(source, options);
    t.is(stream.resumable, typeof source[0] === "string");
    t.deepEqual(await all(stream), expected);
    t.deepEqual(await all(stream.iterate({ epoch: 1 })), expected);
  }
  const training: Pairs = streamParallelText(two);
  t.is(await training.count(), undefined);
});

test("an iterable that can be read once serves for one epoch, a function for all", async (t) => {
  async function* pairs(epoch: number) {
    yield [`s${epoch}`, "t"] as const;
  }
  const once = streamParallelText(pairs(0));
  t.deepEqual(await all(once), [{ source: "s0", target: "t" }]);
  await t.throwsAsync(all(once.iterate({ epoch: 1 })), { instanceOf: StateError, message: /pass a function/ });
  const often = streamParallelText(pairs);
  for (const epoch of [0, 1, 1]) {
    t.deepEqual(await all(often.iterate({ epoch })), [{ source: `s${epoch}`, target: "t" }]);
  }
});

test("options are checked at once, data while they are read", async (t) => {
  t.throws(() => streamParallelText("x.csv", { keys: ["a", "b"] }), {
    instanceOf: OptionError,
    message: /^streamParallelText: keys/,
  });
  t.throws(() => streamParallelText(() => [], { format: "csv" }), { instanceOf: OptionError });
  await t.throwsAsync(all(streamParallelText(join(folder, "missing.tsv"))), { instanceOf: FileError });
  await t.throwsAsync(all(streamParallelText(await file("empty.tsv", "\n"))), {
    instanceOf: DataError,
    message: /no sentence pairs/,
  });
  const stream = streamParallelText(await file("late.tsv", "a\tb\nc\td\ne\n")).iterate();
  await t.throwsAsync(all(stream), { instanceOf: DataError, message: /line 3: 1 tab-separated column/ });
});

const descriptors = "/proc/self/fd";

test("breaking off closes the files", async (t) => {
  if (!existsSync(descriptors)) {
    t.log(`not tested: there is no ${descriptors} here`);
    t.pass();
    return;
  }
  // Random, or the packed file would be read whole with its first block.
  const long = `a\tb\n${randomBytes(3_000_000)
    .toString("base64")
    .replaceAll(/.{100}/g, "$&\t$&\n")}\ta\n`;
  const table = await file("break.tsv", long);
  const packed = await file("break.tsv.gz", gzipSync(long));
  const open = () =>
    readdirSync(descriptors).filter((name) => {
      try {
        return readlinkSync(join(descriptors, name)).startsWith(join(folder, "break"));
      } catch {
        return false; // Closed since.
      }
    }).length;
  for (const source of [table, packed, [table, packed]] as string[]) {
    for await (const pair of streamParallelText(source)) {
      t.regex(pair.target, /b$/);
      t.is(open(), typeof source === "string" ? 1 : 2);
      break;
    }
  }
  const deadline = performance.now() + 10_000;
  while (open() > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  t.is(open(), 0);
});

test("files larger than the heap can be read", async (t) => {
  const count = 200_000;
  const side = "0123456789".repeat(50);
  const lines = function* (end: string) {
    const thousand = `${side}${end}\n`.repeat(1000);
    for (let index = 0; index < count; index += 1000) yield thousand;
  };
  const table = join(folder, "large.tsv");
  const [source, target] = [join(folder, "large.en"), join(folder, "large.zh.gz")];
  await pipeline(Readable.from(lines(`\t${side}`)), createWriteStream(table));
  await pipeline(Readable.from(lines("")), createWriteStream(source));
  await pipeline(Readable.from(lines("!")), createGzip({ level: 1 }), createWriteStream(target));
  t.true((await stat(table)).size > 200e6);
  // The process ends with an error if it holds more than this: a third of the smallest file.
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const script = "__test__/data/readers/children/count-pairs.ts";
  const heap = ["--max-old-space-size=32", "--import=tsx", script];
  const child = spawn(process.execPath, [...heap, table, source, target], { cwd: root });
  let output = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  t.is(status, 0, error.slice(-500));
  t.deepEqual(JSON.parse(output), [
    { pairs: count, characters: count * 1000 },
    { pairs: count, characters: count * 1001 },
  ]);
});
