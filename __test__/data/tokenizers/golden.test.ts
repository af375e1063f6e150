import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Tokenizer, type TokenizerOptions } from "../../../src/data/tokenizer.ts";

interface Encoded {
  ids: number[];
  text: string;
}

interface Python {
  version: string;
  training: string[];
  texts: string[];
  tokenizers: Record<string, { document: Record<string, unknown>; encoded: Encoded[] }>;
}

const folder = new URL("../../golden/tokenizers/", import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
const python = read("python.json") as Python;

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const place = await mkdtemp(join(tmpdir(), "sconce-tokenizers-"));
  try {
    return await work(place);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** `Tokenizer.load` of a document. */
const loaded = (document: unknown) =>
  inFolder(async (place) => {
    await writeFile(join(place, "tokenizer.json"), JSON.stringify(document));
    return Tokenizer.load(join(place, "tokenizer.json"));
  });

for (const [name, { document, encoded }] of Object.entries(python.tokenizers)) {
  test(`encodes and decodes as tokenizers ${python.version} with its file: ${name}`, async (t) => {
    const tokenizer = await loaded(document);
    const { padding, begin, end } = tokenizer.vocabulary;
    const rows = [...(await tokenizer.encodeBatch(python.texts))];
    for (const [index, { ids, text }] of encoded.entries()) {
      const source = python.texts[index]!;
      t.deepEqual([...rows[index]!], ids, source);
      t.deepEqual([...tokenizer.encode(source)], ids, source);
      if (!ids.some((id) => id === padding || id === begin || id === end)) t.is(tokenizer.decode(ids), text, source);
    }
  });
}

const ours: Record<string, TokenizerOptions> = {
  word: { type: "word", lowercase: true, minimumCount: 2, specialTokens: ["extra_0"] },
  character: { type: "character", normalization: "nfkc", vocabularySize: 400 },
  bpe: { type: "bpe", vocabularySize: 1200, specialTokens: ["<mask>"] },
  bytes: { type: "bpe", vocabularySize: 600, byteLevel: true, normalization: "none" },
  wordPiece: { type: "wordPiece", vocabularySize: 1600, lowercase: true, specialTokens: ["<mask>"] },
  unigram: { type: "unigram", vocabularySize: 1600, normalization: "nfkc", specialTokens: ["<mask>"] },
};

test("training gives the files that Python has read", async (t) => {
  const documents: Record<string, unknown> = {};
  for (const [name, options] of Object.entries(ours)) {
    const tokenizer = await Tokenizer.train(python.training, options);
    documents[name] = await inFolder(async (place) => {
      await tokenizer.save(join(place, "tokenizer.json"));
      return JSON.parse(await readFile(join(place, "tokenizer.json"), "utf8"));
    });
  }
  if (process.env.SCONCE_GOLDEN === "write") {
    await writeFile(new URL("ours.json", folder), `${JSON.stringify(documents)}\n`);
  }
  t.deepEqual(documents, read("ours.json"));
});

test("Python's tokenizers encode and decode the same with these files", async (t) => {
  const { texts, encoded } = read("ours-encoded.json") as { texts: string[]; encoded: Record<string, Encoded[]> };
  t.deepEqual(Object.keys(encoded), Object.keys(ours));
  for (const [name, rows] of Object.entries(encoded)) {
    const tokenizer = await loaded((read("ours.json") as Record<string, unknown>)[name]);
    for (const [index, { ids, text }] of rows.entries()) {
      const source = texts[index]!;
      t.deepEqual([...tokenizer.encode(source)], ids, `${name}: ${JSON.stringify(source)}`);
      // Words are joined by rules of sconce.
      if (name !== "word" && name !== "wordPiece") t.is(tokenizer.decode(ids), text, name);
    }
  }
});

test("byte pairs are merged as Python merges them", async (t) => {
  const { document } = python.tokenizers.gpt2!;
  const options = { type: "bpe", vocabularySize: 403, byteLevel: true, normalization: "none" } as const;
  const tokenizer = await Tokenizer.train(python.training, options);
  const model = document.model as { merges: string[][]; vocab: Record<string, number> };
  const merged = model.merges.map((pair) => pair.join(""));
  // Both have 256 bytes, and 4 special tokens here, 1 there.
  t.deepEqual(tokenizer.vocabulary.tokens.slice(260), merged);
});
