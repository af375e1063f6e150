import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test from "ava";
import fc from "fast-check";
import { type ReadParallelTextOptions, readParallelText } from "../../../src/data/readers/parallel-text.ts";
import { DataError, FileError, OptionError } from "../../../src/errors.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sconce-formats-"));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function pairsOf(path: string, options?: ReadParallelTextOptions): Promise<[string, string][]> {
  const pairs = await readParallelText(path, options);
  return [...pairs].map(({ source, target }) => [source, target]);
}

const fails = { instanceOf: DataError };

test("CSV has quotes, doubled quotes, commas and line breaks in fields, and both ends of lines", async (t) => {
  const text = '\ufeff"a, b","say ""hi"""\r\nplain,"two\r\nlines\nhere"\r\n"",empty\n\n"""",x\r';
  const expected: [string, string][] = [
    ["a, b", 'say "hi"'],
    ["plain", "two\r\nlines\nhere"],
    ['"', "x"],
  ];
  t.deepEqual(await pairsOf(await file("quotes.csv", text)), expected);
  t.deepEqual(await pairsOf(await file("quotes.csv.gz", gzipSync(text))), expected);
  t.deepEqual(await pairsOf(await file("packed.CSV", gzipSync(text))), expected);
  t.is((await readParallelText(await file("quotes.csv", text))).skipped, 2);
});

test("columns are chosen by number, or by name in a header", async (t) => {
  const csv = await file("header.csv", 'id,"zh", en \n1,你好,hello\n2,"再,见",bye\n');
  const expected: [string, string][] = [
    ["hello", "你好"],
    ["bye", "再,见"],
  ];
  t.deepEqual(await pairsOf(csv, { columns: ["en", "zh"] }), expected);
  t.deepEqual(await pairsOf(csv, { columns: [2, "zh"] }), expected);
  t.deepEqual(await pairsOf(csv, { columns: [2, 1], header: true }), expected);
  t.deepEqual((await pairsOf(csv, { columns: [2, 1] }))[0], ["en", "zh"]);
  const tsv = await file("header.tsv", "zh\ten\n你好\thello\n");
  t.deepEqual(await pairsOf(tsv, { columns: ["en", "zh"] }), [["hello", "你好"]]);
  await t.throwsAsync(pairsOf(csv, { columns: ["en", "fr"] }), {
    ...fails,
    message: /header\.csv line 1: no column "fr" in the header; there are "id", "zh", "en"/,
  });
  await t.throwsAsync(pairsOf(await file("double.csv", "a,a,b\n1,2,3\n"), { columns: ["a", "b"] }), {
    ...fails,
    message: /more than one column "a"/,
  });
});

test("what is no CSV is refused with its line", async (t) => {
  for (const [content, message] of [
    ["a,b\nc,d,e\n", /line 2: 3 fields, but the first row has 2/],
    ["a,b,c\nd,e\n", /line 2: 2 fields, but the first row has 3/],
    ["a,b\nc\n", /line 2: 1 comma-separated column, expected at least 2/],
    ['a,b\n"c\nd",e\nf,"g\nh,i\nj', /line 4: the quote that opens here is not closed/],
    ['a,b\nc,d "e"\n', /line 2: a quote within a field without quotes/],
    ['a,b\n"c" d,e\n', /line 2: text after the closing quote/],
    [`a,b\n"${"x,y\n".repeat(400_000)}`, /line 2: the quote that opens here is not closed within 1048576/],
    [`a,b\nc,${"x".repeat(1_100_000)}\n`, /line 2: longer than 1048576 bytes/],
  ] as const) {
    const path = await file("wrong.csv", content);
    const error = await t.throwsAsync(readParallelText(path), fails);
    t.true(error.message.startsWith(path));
    t.regex(error.message, message);
  }
  const latin = await file("latin.csv", Buffer.from([0x61, 0x2c, 0x62, 0x0a, 0xe9, 0x2c, 0x62, 0x0a]));
  await t.throwsAsync(readParallelText(latin), { ...fails, message: /latin\.csv line 2: not valid UTF-8/ });
});

test("any fields come back from CSV, wherever blocks are cut", async (t) => {
  const side = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", "é", "汉", "\t", " ") });
  const trimmed = side.map((text) => `<${text}>`);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(trimmed, trimmed), { minLength: 1 }), fc.nat(3), async (rows, filler) => {
      // Fills up to a boundary of the blocks in which files are read.
      const long: [string, string] = ["x".repeat(65_530 + filler - 4), "y"];
      const all = [long, ...rows];
      const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
      const text = all.map(([source, target]) => `${quoted(source)},${quoted(target)}\r\n`).join("");
      t.deepEqual(await pairsOf(await file("any.csv", text)), all);
    }),
    { numRuns: 60, seed: 3 },
  );
});

test("JSON Lines give the values of two keys, also nested ones", async (t) => {
  const plain = '\ufeff{"source":"a","target":"b","id":1}\r\n\n{"target":"d\\nd","source":"c"}';
  const expected: [string, string][] = [
    ["a", "b"],
    ["c", "d\nd"],
  ];
  t.deepEqual(await pairsOf(await file("plain.jsonl", plain)), expected);
  t.deepEqual(await pairsOf(await file("plain.jsonl.gz", gzipSync(plain))), expected);
  t.deepEqual(await pairsOf(await file("plain.ndjson", plain)), expected);
  t.deepEqual(await pairsOf(await file("plain.txt", plain), { format: "jsonl" }), expected);
  const nested = await file(
    "nested.jsonl",
    '{"translation":{"en":"hello","zh":"你好"}}\n{"translation.en":"x","translation":{"zh":"y"}}\n',
  );
  t.deepEqual(await pairsOf(nested, { keys: ["translation.en", "translation.zh"] }), [
    ["hello", "你好"],
    ["x", "y"],
  ]);
});

test("what is no pair in JSON Lines is refused with its line", async (t) => {
  const good = '{"source":"a","target":"b"}\n';
  for (const [line, message] of [
    ['{"source":"a"', /line 2: not valid JSON/],
    ['{"source":"a"}', /line 2: no key "target".*there are: source/],
    ['{"source":"a","target":null}', /line 2: "target" is not a string/],
    ['{"source":["a"],"target":"b"}', /line 2: "source" is not a string/],
    ['"text"', /line 2: expected a JSON object/],
    ["null", /line 2: expected a JSON object/],
    ["[".repeat(100_000), /line 2: not valid JSON/],
  ] as const) {
    const path = await file("wrong.jsonl", `${good}${line}\n${good}`);
    const error = await t.throwsAsync(readParallelText(path), fails);
    t.true(error.message.startsWith(path));
    t.regex(error.message, message);
  }
  const path = await file("prototype.jsonl", good);
  await t.throwsAsync(readParallelText(path, { keys: ["source", "constructor.name"] }), {
    ...fails,
    message: /no key/,
  });
  await t.throwsAsync(readParallelText(path, { keys: ["source.length", "target"] }), { ...fails, message: /no key/ });
});

test("two files are read side by side; their lengths must agree", async (t) => {
  const lines = Array.from({ length: 40_000 }, (_, index) => index);
  const source = lines.map((index) => `s${index}\n`).join("");
  const target = lines.map((index) => `${"t".repeat(index % 50)} ${index}\r\n`).join("");
  const paths = [await file("sides.en", source), await file("sides.zh.gz", gzipSync(target))] as const;
  const pairs = await readParallelText(paths);
  t.deepEqual(pairs.sources(), source.trim().split("\n"));
  t.deepEqual(
    pairs.targets(),
    target
      .trim()
      .split("\r\n")
      .map((text) => text.trim()),
  );
  const short = await file("short.zh", "t\n".repeat(39_999));
  for (const order of [
    [paths[0], short],
    [short, paths[0]],
  ] as const) {
    const error = await t.throwsAsync(readParallelText(order), fails);
    for (const part of ["40000", "39999", ...order]) t.true(error.message.includes(part), error.message);
  }
  await t.throwsAsync(readParallelText([paths[0], join(folder, "missing.zh")]), { instanceOf: FileError });
  const latin = await file("latin.zh", Buffer.from([0x61, 0x0a, 0xff]));
  await t.throwsAsync(readParallelText([paths[0], latin]), { ...fails, message: /latin\.zh line 2: not valid UTF-8/ });
  await t.throwsAsync(readParallelText([latin] as never), {
    instanceOf: OptionError,
    message: /exactly two paths/,
  });
  const gap = [await file("gap.en", "a\n\nb\n"), await file("gap.zh", "c\nd\ne\n")] as const;
  t.is((await readParallelText(gap)).skipped, 1);
  await t.throwsAsync(readParallelText(gap, { emptySides: "error" }), {
    ...fails,
    message: /gap\.zh line 2: the source/,
  });
});

test("pairs come from iterables", async (t) => {
  async function* arriving() {
    yield { source: " a ", target: "b" };
    await new Promise((resolve) => setImmediate(resolve));
    yield ["c", "d"] as const;
    yield ["", "e"] as const;
  }
  const pairs = await readParallelText(arriving());
  t.deepEqual(pairs.targets(), ["b", "d"]);
  t.deepEqual([pairs.sources()[0], pairs.skipped], ["a", 1]);
  t.is(
    (
      await readParallelText([
        ["a", "b"],
        ["c", "d"],
      ])
    ).length,
    2,
  );
  for (const wrong of [
    [
      ["a", "b"],
      ["c", 1],
    ],
    [{ source: "a", target: "b" }, { source: "c" }],
  ]) {
    await t.throwsAsync(readParallelText(wrong as [string, string][]), {
      ...fails,
      message: /pair 1: the target is not/,
    });
  }
  await t.throwsAsync(readParallelText([1, 2] as never), { ...fails, message: /pair 0: expected an object/ });
  await t.throwsAsync(readParallelText([]), { ...fails, message: /no sentence pairs/ });
  const failure = new Error("the connection broke");
  async function* breaking() {
    yield ["a", "b"] as const;
    throw failure;
  }
  t.is(await t.throwsAsync(readParallelText(breaking())), failure);
  const reason = new Error("enough");
  const controller = new AbortController();
  async function* endless() {
    for (let index = 0; ; index++) {
      if (index === 10) controller.abort(reason);
      yield ["a", "b"] as const;
    }
  }
  t.is(await t.throwsAsync(readParallelText(endless(), { signal: controller.signal })), reason);
});

test("options that are wrong or have no meaning for the format are refused", async (t) => {
  const cases: [unknown, object, RegExp][] = [
    ["x.tsv", { format: "xml" }, /format must be one of tsv, csv, jsonl, parquet/],
    ["x.parquet", { header: true }, /header has no meaning for Parquet/],
    ["x.tsv", { keys: ["a", "b"] }, /keys has no meaning for a table/],
    ["x.jsonl.gz", { columns: [0, 1] }, /columns has no meaning for JSON Lines/],
    ["x.jsonl", { keys: ["a"] }, /keys must be an array of two names/],
    ["x.jsonl", { keys: ["a", ""] }, /keys must be/],
    ["x.csv", { columns: [0, -1] }, /columns must be an array of two/],
    ["x.csv", { columns: [0, 1, 2] }, /columns must be/],
    ["x.csv", { columns: ["a", "b"], header: false }, /names of columns need a header/],
    ["x.csv", { header: 1 }, /header must be true or false/],
    [["a", "b"], { format: "csv" }, /format has no meaning for two files/],
    [[["a", "b"]], { keys: ["a", "b"] }, /keys has no meaning for an iterable/],
    [["a", "b", "c"], {}, /exactly two paths/],
    [undefined, {}, /expected the path of a file/],
    ["x.tsv", { emptySides: "keep" }, /emptySides must be one of/],
  ];
  for (const [source, options, message] of cases) {
    await t.throwsAsync(readParallelText(source as string, options), { instanceOf: OptionError, message });
  }
});
