import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { DataError, FileError, FormatError, OptionError, Tokenizer } from "../../../src/index.ts";

interface Encoded {
  ids: number[];
  text: string;
  /** In bytes of UTF-8. */
  spans?: number[];
}

const folder = new URL("../../golden/tokenizers/", import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
const { version, texts, models } = read("sentencepiece.json") as {
  version: string;
  texts: string[];
  models: Record<string, { encoded: Encoded[] }>;
};
const modelPath = (name: string) => new URL(`sentencepiece/${name}.model`, folder).pathname;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), "sconce-formats-"));
  try {
    await work(place);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Compares ids and texts, one by one and in a batch. */
async function check(t: ExecutionContext, tokenizer: Tokenizer, texts: readonly string[], encoded: readonly Encoded[]) {
  const rows = await tokenizer.encodeBatch(texts);
  const decoded = await tokenizer.decodeBatch(rows);
  for (const [index, { ids, text }] of encoded.entries()) {
    const source = JSON.stringify(texts[index]);
    t.deepEqual([...rows.at(index)], ids, source);
    t.is(decoded[index], text, source);
  }
}

for (const [name, { encoded }] of Object.entries(models)) {
  test(`a model is run as sentencepiece ${version} runs it: ${name}`, async (t) => {
    const tokenizer = await Tokenizer.load(modelPath(name));
    t.is(tokenizer.type, name.startsWith("bpe") ? "bpe" : "unigram");
    await check(t, tokenizer, texts, encoded);
    for (const [index, { ids, spans }] of encoded.entries()) {
      const text = texts[index]!;
      const bytes = Buffer.from(text);
      const found = tokenizer.encodeWithSpans(text);
      t.deepEqual([...found.ids], ids);
      t.deepEqual(
        [...found.spans],
        spans!.map((place) => bytes.subarray(0, place).toString().length),
        JSON.stringify(text),
      );
    }
    const again = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
    await check(t, again, texts, encoded);
    await inFolder(async (place) => {
      await tokenizer.save(join(place, "tokenizer.json"));
      const loaded = await Tokenizer.load(join(place, "tokenizer.json"));
      t.deepEqual(loaded.toJSON(), tokenizer.toJSON());
      t.is(loaded.vocabulary.end, tokenizer.vocabulary.end);
    });
    const sampling = name.startsWith("bpe") ? { dropout: 0.3 } : { alpha: 0.2 };
    const text = "they are not here again";
    const ways = new Set(
      Array.from({ length: 20 }, (_, seed) => tokenizer.encode(text, { sampling: { ...sampling, seed } }).join()),
    );
    t.true(ways.size > 3);
  });
}

/** Files of Python's tokenizers, taken apart. */
const python = read("python.json") as {
  texts: string[];
  tokenizers: Record<
    string,
    { document: { model: { vocab: Record<string, number>; merges: string[][] } }; encoded: Encoded[] }
  >;
};

test("vocab.txt is read as BERT's", async (t) => {
  const { document, encoded } = python.tokenizers.bert!;
  const lines = Object.entries(document.model.vocab).sort((a, b) => a[1] - b[1]);
  await inFolder(async (place) => {
    const path = join(place, "vocab.txt");
    await writeFile(path, lines.map(([token]) => `${token}\n`).join(""));
    const tokenizer = await Tokenizer.load(path);
    t.is(tokenizer.type, "wordPiece");
    t.true(tokenizer.lowercase);
    const { padding, begin, end, unknown } = tokenizer.vocabulary;
    t.deepEqual([padding, unknown, begin, end], [0, 1, 2, 3]);
    await check(t, tokenizer, python.texts, encoded);
    const cased = await Tokenizer.load(path, { lowercase: false });
    t.false(cased.lowercase);
    t.notDeepEqual(cased.encode("The"), tokenizer.encode("The"));
    await writeFile(join(place, "windows"), `[UNK]\r\n\r\na\r\n##b`);
    const windows = await Tokenizer.load(join(place, "windows"), { format: "wordPiece" });
    t.deepEqual([...windows.encode("ab x")], [2, 3, 0]);
    t.is(windows.vocabulary.padding, -1);
    await writeFile(path, "a\nb\n");
    await t.throwsAsync(Tokenizer.load(path), { instanceOf: FormatError, message: /vocab\.txt.*\[UNK\]/ });
  });
});

test("vocab.json and merges.txt are read as GPT-2's", async (t) => {
  const { document, encoded } = python.tokenizers.gpt2!;
  const { vocab, merges } = document.model;
  await inFolder(async (place) => {
    const files = { vocabulary: join(place, "vocab.json"), merges: join(place, "merges.txt") };
    await writeFile(files.vocabulary, JSON.stringify(vocab));
    await writeFile(files.merges, `#version: 0.2\n${merges.map((pair) => `${pair.join(" ")}\n`).join("")}`);
    const tokenizer = await Tokenizer.load(files);
    t.is(tokenizer.type, "bpe");
    t.is(tokenizer.vocabulary.end, vocab["<|endoftext|>"]!);
    await check(t, tokenizer, python.texts, encoded);
    await check(t, Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer))), python.texts, encoded);
    for (const [line, message] of [
      ["ab", /line 2: expected two tokens/],
      ["never seen", /merge 0/],
      ["a b c", /merge 0/],
    ] as const) {
      await writeFile(files.merges, `#version: 0.2\n${line}\n`);
      await t.throwsAsync(Tokenizer.load(files), { instanceOf: FormatError, message });
    }
    await writeFile(files.vocabulary, "[");
    await t.throwsAsync(Tokenizer.load(files), { instanceOf: FormatError, message: /vocab\.json/ });
    await t.throwsAsync(Tokenizer.load({ ...files, merges: join(place, "none") }), { instanceOf: FileError });
  });
});

test("wrong options and files are typed errors", async (t) => {
  const path = modelPath("unigram");
  for (const [where, options] of [
    [path, { lowercase: true }],
    [path, { format: "spm" }],
    [path, { begin: 5 }],
    [{ vocabulary: path }, {}],
    [{ vocabulary: path, merges: path, other: path }, {}],
    [{ vocabulary: path, merges: path }, { format: "wordPiece" }],
    [5, {}],
    [null, {}],
  ] as const) {
    await t.throwsAsync(Tokenizer.load(where as string, options as object), { instanceOf: OptionError });
  }
  await t.throwsAsync(Tokenizer.load(path, { begin: "nothing" }), { instanceOf: OptionError, message: /nothing/ });
  await t.throwsAsync(Tokenizer.load(path, { format: "tokenizerJson" }), { instanceOf: FormatError, message: /UTF-8/ });
  await t.throwsAsync(Tokenizer.load("none.spm"), { instanceOf: FileError });
  const tokenizer = await Tokenizer.load(path);
  t.throws(() => tokenizer.decode([5000]), { instanceOf: DataError });
  t.throws(() => tokenizer.encodeWithSpans("a", { sampling: { alpha: 1 } }), { instanceOf: OptionError });
});

test("tokens know the part of the text that they stand for", async (t) => {
  const texts = ["The 👍 cat’s éclair, naïve 我在这里。", "  two  spaces ", "", "a\ud800b", "x"];
  const made = [
    ...(await Promise.all(
      (["word", "character", "bpe", "wordPiece", "unigram"] as const).map((type) =>
        Tokenizer.train(texts, { type, lowercase: true }),
      ),
    )),
    await Tokenizer.train(texts, { type: "bpe", byteLevel: true, vocabularySize: 270, normalization: "none" }),
    Tokenizer.fromJSON({
      format: "sconce-tokenizer",
      version: 2,
      special: {},
      tokenizer: python.tokenizers.bert!.document,
    }),
  ];
  for (const tokenizer of made) {
    for (const text of texts) {
      const { ids, spans } = tokenizer.encodeWithSpans(text);
      t.deepEqual(ids, tokenizer.encode(text), tokenizer.type);
      t.is(spans.length, 2 * ids.length);
      const parts = Array.from(ids, (_, index) => text.slice(spans[2 * index], spans[2 * index + 1]));
      for (const [index, part] of parts.entries()) {
        t.true(index === 0 || spans[2 * index]! >= spans[2 * index - 2]!, "in order");
        const token = tokenizer.vocabulary.token(ids[index]!).replace(/^##|^▁/u, "");
        // What a token stands for is its own text, but for case, spaces and accents.
        const plain = part.trim().toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
        if (/^[a-z’,]+$/u.test(token)) t.is(plain, token, tokenizer.type);
      }
      const covered = new Set<number>();
      for (let index = 0; index < ids.length; index++) {
        for (let place = spans[2 * index]!; place < spans[2 * index + 1]!; place++) covered.add(place);
      }
      // BERT drops characters that are none.
      if (tokenizer === made.at(-1)) continue;
      for (const [place, unit] of text.split("").entries()) {
        t.true(covered.has(place) || unit === " ", `${tokenizer.type} ${JSON.stringify(text)} ${place}`);
      }
    }
  }
  const characters = made[1]!;
  t.deepEqual([...characters.encodeWithSpans("a👍B").spans], [0, 1, 1, 3, 3, 4]);
  const framed = characters.encodeWithSpans("abc", { addBegin: true, addEnd: true, maxLength: 4 });
  t.is(framed.ids.length, 4);
  t.deepEqual([...framed.spans], [0, 0, 0, 1, 1, 2, 3, 3]);
});

/** The larger files, or a note that they are not there. */
function larger(t: ExecutionContext): string | undefined {
  const place = join(process.env.SCONCE_DATA ?? "", "tokenizers");
  if (process.env.SCONCE_DATA !== undefined && existsSync(place)) return place;
  t.log("not tested: set SCONCE_DATA to the folder that holds tokenizers");
  t.pass();
  return undefined;
}

const answers = () =>
  read("sentencepiece-data.json") as {
    sentencepiece: Record<string, Encoded[]>;
    vocabularies: Record<string, Encoded[]>;
    gpt2: Encoded[];
  };

test("published models of SentencePiece give what sentencepiece gives", async (t) => {
  const place = larger(t);
  if (place === undefined) return;
  for (const [path, encoded] of Object.entries(answers().sentencepiece)) {
    await check(t, await Tokenizer.load(join(place, path)), texts, encoded);
  }
});

test("published vocabularies of BERT give what tokenizers gives", async (t) => {
  const place = larger(t);
  if (place === undefined) return;
  await inFolder(async (own) => {
    for (const [name, encoded] of Object.entries(answers().vocabularies)) {
      const path = join(own, `${name}.txt`);
      await writeFile(path, gunzipSync(readFileSync(join(place, `${name}.vocab.txt.gz`))));
      await check(t, await Tokenizer.load(path, { lowercase: name.endsWith("uncased") }), texts, encoded);
    }
  });
});

test("GPT-2's merges give what tokenizers gives", async (t) => {
  const place = larger(t);
  if (place === undefined) return;
  const merges = gunzipSync(readFileSync(join(place, "gpt2.merges.txt.gz"))).toString();
  const pairs = merges.split("\n").slice(1).filter(Boolean);
  // The characters that stand for bytes, in order.
  const isShown = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const hidden = bytes.filter((byte) => !isShown(byte)).map((_, index) => 256 + index);
  const alphabet = [...bytes.filter(isShown), ...hidden].map((code) => String.fromCharCode(code));
  const tokens = [...alphabet, ...pairs.map((pair) => pair.replace(" ", "")), "<|endoftext|>"];
  await inFolder(async (own) => {
    const files = { vocabulary: join(own, "vocab.json"), merges: join(own, "merges.txt") };
    await writeFile(files.vocabulary, JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))));
    await writeFile(files.merges, merges);
    const tokenizer = await Tokenizer.load(files);
    t.is(tokenizer.vocabulary.size, 50257);
    t.deepEqual([...tokenizer.encode("Hello world")], [15496, 995]);
    await check(t, tokenizer, texts, answers().gpt2);
  });
});
