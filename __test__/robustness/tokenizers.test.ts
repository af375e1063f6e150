import { readFileSync } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FileError, FormatError, LimitError, OptionError, SconceError, Tokenizer } from "../../src/index.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Document = { [key: string]: Json };

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/tokenizers/${name}`, import.meta.url), "utf8"));
const python = golden("python.json") as { tokenizers: Record<string, { document: Document }> };
const documents: Document[] = [
  ...Object.values(python.tokenizers).map(({ document }) => document),
  ...Object.values(golden("ours.json") as Record<string, Document>),
];
const texts = ["", "Hello, world! 你好 don't", "\u0000\ud800 e\u0301 👨‍👩‍👧 <mask> extra_0 <s>", "ab ".repeat(300)];
const read = (tokenizer: Json) =>
  Tokenizer.fromJSON({ format: "sconce-tokenizer", version: 2, special: {}, tokenizer });

/** Random numbers of a seed: mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

const odd: Json[] = [
  null,
  true,
  false,
  -1,
  0,
  0.5,
  1,
  300,
  2 ** 24,
  2 ** 32,
  1e300,
  "",
  " ",
  "a",
  "▁",
  "\u0000",
  "Ġ",
  "(",
  "(a*)*b",
  "\\p{L}",
  "x".repeat(5000),
  [],
  [[]],
  {},
  [null],
  { type: "Sequence" },
  { type: "NFC" },
  { type: "ByteLevel" },
  { Regex: "(?<=x)+" },
  { String: "" },
];

/** One to four random changes anywhere in a document. */
function mutated(base: Document, next: () => number): Document {
  const document = structuredClone(base);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!;
  const places = (): [Json[] | Document, string][] => {
    const found: [Json[] | Document, string][] = [];
    const visit = (value: Json, depth: number): void => {
      if (typeof value !== "object" || value === null) return;
      // Of the long lists and vocabularies a few entries are enough.
      const keys = Object.keys(value);
      for (const key of keys.length > 40 ? Array.from({ length: 5 }, () => pick(keys)) : keys) {
        found.push([value as Document, key]);
        if (depth < 8) visit((value as Document)[key]!, depth + 1);
      }
    };
    visit(document, 0);
    return found;
  };
  for (let change = Math.ceil(next() * 4); change > 0; change--) {
    const all = places();
    if (all.length === 0) return document;
    const [holder, key] = pick(all);
    const target = holder as Document;
    const kind = next();
    if (kind < 0.4) target[key] = structuredClone(pick(odd));
    else if (kind < 0.55) delete target[key];
    else if (kind < 0.75) {
      const [other, name] = pick(all);
      target[key] = structuredClone((other as Document)[name] ?? null);
    } else if (Array.isArray(holder)) holder.push(structuredClone(holder[0] ?? null));
    else target[`${key}x`] = structuredClone(target[key] ?? null);
  }
  return document;
}

const cases = Number(process.env.SCONCE_FUZZ_RUNS ?? 2000);
const firstSeed = Number(process.env.SCONCE_FUZZ_SEED ?? 0);

test("damaged files are typed errors, and what can be read encodes and decodes or says why not", (t) => {
  let readable = 0;
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const next = random(seed);
    const document = mutated(documents[seed % documents.length]!, next);
    try {
      const tokenizer = read(document);
      readable += 1;
      for (const text of texts) tokenizer.decode(tokenizer.encode(text));
    } catch (error) {
      const isTyped = error instanceof SconceError && ["FORMAT", "LIMIT", "DATA"].includes(error.code);
      if (!isTyped) t.fail(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  t.true(readable > cases / 20 && readable < cases, `${readable} of ${cases} can be read`);
});

test("cut and scrambled files are typed errors", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-fuzz-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, "tokenizer.json");
  for (let seed = 0; seed < 150; seed++) {
    const next = random(seed);
    const bytes = Buffer.from(JSON.stringify(documents[seed % documents.length]));
    for (let change = 0; change < 3; change++) bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
    await writeFile(path, next() < 0.3 ? bytes.subarray(0, Math.floor(next() * bytes.length)) : bytes);
    const failure = await Tokenizer.load(path).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure !== undefined) t.true(failure instanceof FormatError, `seed ${seed}: ${String(failure)}`);
  }
});

const base = (changes: Document): Document => ({ ...structuredClone(documents[0]!), ...changes });
const model = (changes: Document): Document => base({ model: { ...(documents[0]!.model as Document), ...changes } });
const words = (vocab: Json): Document =>
  base({ model: { type: "WordLevel", unk_token: "a", vocab }, added_tokens: [] });
const sequence = (key: string, parts: Json[]): Document => ({ type: "Sequence", [key]: parts });
const many = (count: number, part: Json): Json[] => Array.from({ length: count }, () => part);
const nested = (depth: number): Json => {
  let value: Json = { type: "NFC" };
  for (let level = 0; level < depth; level++) value = sequence("normalizers", [value]);
  return value;
};

const hostile: Record<string, Document> = {
  "no model": base({ model: null }),
  "an unknown version": base({ version: "9.0" }),
  "an unknown model": model({ type: "Exec" }),
  "an empty vocabulary": words({}),
  "ids that are far apart": words({ a: 0, b: 3_000_000 }),
  "ids that are huge": words({ a: 0, b: 4294967295 }),
  "ids that are negative": words({ a: -1 }),
  "two tokens of one id": words({ a: 0, b: 0 }),
  "merges of unknown tokens": model({ merges: [["never", "seen"]] }),
  "a merge of three": model({ merges: ["a b c"] }),
  "merges without the prefix": model({ continuing_subword_prefix: "##", merges: [["a", "b"]] }),
  "pieces of length 0": base({ pre_tokenizer: { type: "FixedLength", length: 0 } }),
  "many byte levels": base({
    pre_tokenizer: sequence(
      "pretokenizers",
      many(40, { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: false }),
    ),
  }),
  "a damaged map": base({ normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } }),
  "a regular expression without end": base({
    pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated", invert: false },
  }),
  "sequences in sequences": base({ normalizer: nested(100) }),
  "added tokens without ids": base({ added_tokens: [{ content: "x" }] }),
};

for (const [name, document] of Object.entries(hostile)) {
  test(`${name} is a typed error`, (t) => {
    const error = t.throws(() => read(document), { instanceOf: SconceError });
    t.true(error?.code === "FORMAT" || error?.code === "LIMIT", error?.message);
  });
}

test("rules that make a text grow without bound are stopped", (t) => {
  const double = { type: "Replace", pattern: { String: "a" }, content: "aa" };
  const doubling = read(base({ normalizer: sequence("normalizers", many(60, double)) }));
  t.notThrows(() => doubling.encode("ok"));
  t.throws(() => doubling.encode(`${"a".repeat(60)}!`), { code: "DATA" });
  const long = { type: "Replace", pattern: { Regex: "b?" }, content: "x".repeat(1_000_000) };
  t.throws(() => read(base({ normalizer: long })).encode("a".repeat(60)), { code: "DATA" });
  const decoding = read(
    base({ decoder: sequence("decoders", many(60, { ...double, pattern: { String: "t" }, content: "tt" })) }),
  );
  t.throws(() => decoding.decode(decoding.encode("t t t")), { code: "DATA" });
});

test("a file that is missing, a folder, too large or not text is a typed error", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-tokenizer-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, "tokenizer.json");
  await t.throwsAsync(Tokenizer.load(path), { instanceOf: FileError, message: /tokenizer\.json/ });
  await t.throwsAsync(Tokenizer.load(folder), { instanceOf: FileError });
  await writeFile(path, "");
  await truncate(path, 65 << 20);
  await t.throwsAsync(Tokenizer.load(path), { instanceOf: LimitError });
  await writeFile(path, Buffer.of(0xff, 0xfe));
  await t.throwsAsync(Tokenizer.load(path), { instanceOf: FormatError, message: /UTF-8/ });
  await writeFile(path, JSON.stringify(documents[0]));
  await t.throwsAsync(Tokenizer.load(path, { begin: "nothing" }), { instanceOf: OptionError, message: /nothing/ });
  await t.throwsAsync(Tokenizer.load(path, { bos: "a" } as object), { instanceOf: OptionError });
  const tokenizer = await Tokenizer.load(path);
  await t.throwsAsync(tokenizer.save(join(folder, "no", "tokenizer.json")), { instanceOf: FileError });
});
