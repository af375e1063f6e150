import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test from "ava";
import { Dataset, type DatasetPosition, StateError, streamParallelText, type TextPair } from "../../../src/index.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sconce-resumable-"));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

const count = 4000;
const rows = Array.from({ length: count }, (_, index) => {
  const source = `s${index} ${"ü".repeat((index * 37) % 60)}`;
  return [source, `t${index} ${"x".repeat((index * 53) % 50)}`] as const;
});
const lines = (row: (pair: readonly [string, string], index: number) => string) => rows.map(row).join("");

/** Files of several blocks in every format, all with the same pairs. */
async function sources(): Promise<Record<string, [string | [string, string], object]>> {
  const own = await mkdtemp(join(folder, "own-"));
  const file = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(own, name), content);
    return join(own, name);
  };
  const tsv = lines(([a, b], index) => `${a}\t${b}\n${index % 9 === 0 ? "\t\n" : ""}`);
  return {
    tsv: [await file("pairs.tsv", tsv), {}],
    gzip: [await file("pairs.tsv.gz", gzipSync(tsv)), {}],
    named: [await file("named.tsv", `id\tzh\ten\n${lines(([a, b], index) => `${index}\t${b}\t${a}\n`)}`), { columns: ["en", "zh"] }], // biome-ignore format: long
    // A field with a line break now and then, so that blocks begin within it.
    csv: [await file("pairs.csv", lines(([a, b], index) => (index % 3 === 0 ? `"${a}\n ",${b}\n` : `${a},"${b}"\r\n`))), {}], // biome-ignore format: long
    jsonl: [
      await file(
        "pairs.jsonl",
        lines(([source, target]) => `${JSON.stringify({ source, target })}\n`),
      ),
      {},
    ],
    // Lines of different length, so that blocks of one begin within those of the other.
    two: [
      [
        await file(
          "two.en",
          lines(([a]) => `${a}\n`),
        ),
        await file("two.zh.gz", gzipSync(lines(([, b]) => `${b}\r\n`))),
      ],
      {},
    ],
  };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const through = (position: DatasetPosition) => JSON.parse(JSON.stringify(position)) as DatasetPosition;

test("a stream of any format goes on at every place", async (t) => {
  for (const [name, [source, options]] of Object.entries(await sources())) {
    const stream = streamParallelText(source, options);
    t.true(stream.resumable);
    const whole = await all(stream);
    t.is(whole.length, count, name);
    t.deepEqual(whole[count - 1], { source: rows[count - 1]![0].trim(), target: rows[count - 1]![1].trim() }, name);
    const iterator = stream.iterate();
    const places = new Set<string>();
    for (let step = 0; step < count; step++) {
      const position = through(iterator.position);
      places.add(JSON.stringify((position.cursor?.place as { lines?: unknown })?.lines ?? position.cursor?.place));
      if (step % 397 === 0) {
        const rest = await all(stream.iterate(position));
        t.deepEqual([rest.length, rest[0]], [count - step, whole[step]], `${name} at ${step}`);
        t.deepEqual(rest, whole.slice(step));
      }
      await iterator.next();
    }
    t.true(places.size > 3, `${name}: ${places.size} places`);
    t.deepEqual(await all(stream.iterate(through(iterator.position))), [], name);
    // Without a cursor what comes before is read again.
    t.deepEqual(await all(stream.iterate({ step: 3990 })), whole.slice(3990), name);
  }
});

test("what is made of a stream goes on at every place", async (t) => {
  const { tsv } = await sources();
  const stream = streamParallelText(tsv![0]);
  const length = ({ source }: TextPair) => source.length;
  const chains: Record<string, Dataset<unknown>> = {
    map: stream.map(async ({ source }) => source),
    filter: stream.filter(({ source }) => source.length % 3 === 0),
    "filter to little": stream.filter(({ source }) => source.startsWith("s39")),
    take: stream.take(2500),
    batch: stream.batch(7),
    "batch by tokens": stream.batch({ length, batchTokens: 300 }),
    shuffle: stream.shuffle(4, { window: 600 }),
    bucket: stream.bucketByLength({ length, batchSize: 16, seed: 2, window: 500 }, (items) => items),
    repeat: stream.take(900).shuffle(1, { window: 100 }).repeat(3),
    "without end": stream.take(700).repeat().batch(16).take(200),
    long: stream
      .filter(({ target }) => target.length > 9)
      .shuffle(3, { window: 300 })
      .map(({ source, target }) => `${source} ${target}`)
      .bucketByLength({ length: (text) => text.length, batchTokens: 999, seed: 1, window: 250 }, (items) => items)
      .filter((items) => items.length > 2)
      .take(180),
  };
  for (const [name, chain] of Object.entries(chains)) {
    for (const epoch of [0, 2]) {
      const whole = await all(chain.iterate({ epoch }));
      t.true(whole.length > 50, name);
      const iterator = chain.iterate({ epoch });
      const every = Math.ceil(whole.length / 8);
      for (let step = 0; step <= whole.length; step++) {
        if (step % every === 0 || step === whole.length) {
          const rest = await all(chain.iterate(through(iterator.position)));
          t.deepEqual(rest, whole.slice(step), `${name} at ${step} of epoch ${epoch}`);
        }
        await iterator.next();
      }
    }
  }
});

test("what lies before a place is not read", async (t) => {
  const { tsv } = await sources();
  const path = tsv![0] as string;
  const stream = streamParallelText(path);
  const iterator = stream.iterate();
  for (let step = 0; step < 3500; step++) await iterator.next();
  const position = through(iterator.position);
  await iterator.return();
  const content = await readFile(path);
  content.fill(0xff, 0, 1000);
  await writeFile(path, content);
  await t.throwsAsync(all(stream), { message: /line 1: not valid UTF-8/ });
  t.is((await all(stream.iterate(position))).length, 500);
  await writeFile(path, content.subarray(1));
  await t.throwsAsync(all(stream.iterate(position)), { instanceOf: StateError, message: /pairs\.tsv has \d+ bytes/ });
});

test("places that other data gave are refused", async (t) => {
  const { tsv, two, csv } = await sources();
  const [table, files, fields] = [tsv!, two!, csv!].map(([source, options]) => streamParallelText(source, options));
  const place = { lines: { offset: 0, line: 1, size: 1 } };
  for (const [data, cursor] of [
    [table!, 3],
    [table!, {}],
    [table!, { place, skip: -1 }],
    [table!, { place: {}, skip: 0 }],
    [table!, { place: { lines: { offset: -1, line: 1, size: 1 } }, skip: 0 }],
    [table!, { place: { ...place, chosen: [1] }, skip: 0 }],
    [fields!, { place: { ...place, width: "2" }, skip: 0 }],
    [files!, { place, skip: 0 }],
    [files!, { place: { source: {}, target: {} }, skip: 0 }],
    [table!.batch(2), { place, skip: 0 }],
    [table!.take(2), { place, skip: 0 }],
    [table!.repeat(2), { place, skip: 0 }],
    [table!.shuffle(2), { place: { place, skip: "a" }, skip: 0 }],
  ] as [Dataset<unknown>, unknown][]) {
    await t.throwsAsync(
      async () => all(data.iterate({ step: 1, cursor } as DatasetPosition)),
      { instanceOf: StateError, message: /does not fit the data/ },
      JSON.stringify(cursor),
    );
  }
});

test("a live iterable gives a full batch before its next item comes", async (t) => {
  const stuck = new Promise<never>(() => undefined);
  const live = Dataset.fromIterable(async function* () {
    yield 1;
    yield 2;
    yield await stuck;
  });
  t.deepEqual((await live.batch(2).iterate().next()).value, [1, 2]);
});
