import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import {
  DataError,
  type DatasetPosition,
  FileError,
  FormatError,
  OptionError,
  readParallelText,
  SconceError,
  StateError,
  streamParallelText,
  type TextPair,
} from "../../../src/index.ts";

const golden = fileURLToPath(new URL("../../golden/parquet/", import.meta.url));
const named = { columns: ["en", "zh"] } as const;

/** The pairs of parquet_files.py; three have an empty side. */
const expected = Array.from({ length: 2000 }, (_, index) => ({
  source: `sentence ${index}`,
  target: `句子 ${index % 7} ${index}`,
})).filter((_, index) => ![3, 5, 6].includes(index));

async function scratch(t: ExecutionContext, content: Uint8Array): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sconce-parquet-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "pairs.parquet");
  await writeFile(path, content);
  return path;
}

for (const name of ["none", "snappy", "gzip", "brotli", "version1", "pages2", "zstd"]) {
  test(`the pairs of a Parquet file that pyarrow wrote: ${name}`, async (t) => {
    const path = `${golden}${name}.parquet`;
    if (name === "zstd" && !("zstdDecompressSync" in zlib)) {
      await t.throwsAsync(readParallelText(path, named), {
        instanceOf: FormatError,
        message: /Node reads from 22\.15 on/,
      });
      return;
    }
    const pairs = await readParallelText(path, named);
    t.deepEqual([...pairs], expected);
    t.is(pairs.skipped, 3);
    t.deepEqual([...(await readParallelText(path, { columns: [1, 2] }))], expected);
  });
}

test("fields of structures, other types of text, and formats told by an option", async (t) => {
  const columns = ["translation.en", "translation.zh"] as const;
  t.deepEqual([...(await readParallelText(`${golden}nested.parquet`, { columns }))], expected);
  const two = [
    { source: "a", target: "c" },
    { source: "b", target: "d" },
  ];
  t.deepEqual([...(await readParallelText(`${golden}types.parquet`))], two);
  const path = await scratch(t, await readFile(`${golden}types.parquet`));
  await writeFile(`${path}.bin`, await readFile(path));
  t.deepEqual([...(await readParallelText(`${path}.bin`, { format: "parquet" }))], two);
});

test("a stream of a Parquet file goes on at every place", async (t) => {
  const path = await scratch(t, await readFile(`${golden}snappy.parquet`));
  const stream = streamParallelText(path, named);
  t.true(stream.resumable);
  const all = async (position: DatasetPosition) => {
    const pairs: TextPair[] = [];
    for await (const pair of stream.iterate(position)) pairs.push(pair);
    return pairs;
  };
  const iterator = stream.iterate();
  for (let step = 0; step <= expected.length; step++) {
    if (step % 290 === 0 || step === expected.length) {
      const position = JSON.parse(JSON.stringify(iterator.position)) as DatasetPosition;
      t.deepEqual(await all(position), expected.slice(step), `${step}`);
    }
    await iterator.next();
  }
  const position = iterator.position;
  await writeFile(path, await readFile(`${golden}gzip.parquet`));
  await t.throwsAsync(all(position), { instanceOf: StateError, message: /can only go on with the same file/ });
  const wrong = { epoch: 0, step: 1, cursor: { place: { row: -1, size: 3 }, skip: 0 } };
  await t.throwsAsync(all(wrong), { instanceOf: StateError, message: /does not fit the data/ });
});

test("what cannot be read is told with file, row and column", async (t) => {
  const plain = `${golden}none.parquet`;
  const cases: [path: string, options: object, type: new (...args: never[]) => Error, message: RegExp][] = [
    [plain, { columns: ["en", "fr"] }, DataError, /none\.parquet: no column "fr"; there are "id", "en", "zh"/],
    [plain, { columns: [0, 3] }, DataError, /no column 3; there are/],
    [plain, { columns: ["id", "zh"] }, DataError, /row 0: column "id" is not a text/],
    [plain, { ...named, emptySides: "error" }, DataError, /none\.parquet row 3: the source is empty/],
    [`${golden}nested.parquet`, { columns: ["translation.en", "translation.fr"] }, DataError, /no column "translation\.fr"/],
    [`${golden}nested.parquet`, { columns: ["translation", "translation.en"] }, DataError, /column "translation" is not a text/],
    [`${golden}empty.parquet`, named, DataError, /no sentence pairs/],
    [`${golden}binary.parquet`, named, DataError, /rows 0 to 1: not valid UTF-8/],
    [`${golden}missing.parquet`, named, FileError, /missing\.parquet/],
    [`${golden}parquet_files.py`, { format: "parquet" }, FormatError, /damaged Parquet file/],
    [plain, { keys: ["a", "b"] }, OptionError, /keys has no meaning/],
    [plain, { header: false }, OptionError, /header has no meaning for Parquet/],
  ]; // biome-ignore format: one case a line
  for (const [path, options, instanceOf, message] of cases) {
    await t.throwsAsync(readParallelText(path, options), { instanceOf, message }, JSON.stringify(options));
  }
  const controller = new AbortController();
  const reason = new Error("enough");
  controller.abort(reason);
  await t.throwsAsync(readParallelText(plain, { ...named, signal: controller.signal }), { is: reason });
  await t.throwsAsync(readParallelText(await scratch(t, Buffer.alloc(3)), named), { instanceOf: FormatError });
});

test("damaged Parquet files give typed errors", async (t) => {
  const path = await scratch(t, Buffer.alloc(0));
  for (const name of ["snappy", "types", "version1", "pages2", "nested"]) {
    const good = await readFile(`${golden}${name}.parquet`);
    // Half of the changes in the footer, which says how all else is read.
    const place = fc.oneof(
      fc.nat(good.length - 1),
      fc.nat(700).map((back) => Math.max(0, good.length - 1 - back)),
    );
    const change = fc.record({ at: place, byte: fc.nat(255) });
    const fields = { columns: ["translation.en", "translation.zh"] } as const;
    const options = name === "nested" ? fields : name === "types" ? {} : named;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = Buffer.from(good);
        for (const { at, byte } of changes) bytes[at] = byte;
        await writeFile(path, bytes);
        try {
          await readParallelText(path, options);
        } catch (error) {
          t.true(error instanceof SconceError && error.code !== "INTERNAL", String(error));
        }
      }),
      { numRuns: 60, seed: 1 },
    );
  }
});
