import { writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { resolveConfig } from "../../src/cli/config/config.ts";
import { parseConfig } from "../../src/cli/config/file.ts";
import { readWordVectors } from "../../src/data/glove.ts";
import { FormatError } from "../../src/errors.ts";
import { type FileTokenizerDocument, loadModel, readParallelText, Seq2Seq, Tokenizer } from "../../src/index.ts";
import { readSeq2SeqDocument } from "../../src/models/seq2seq/document.ts";
import { inferLayer, LayerHandle, ModelHandle } from "../../src/native.ts";
import { decodeState } from "../../src/training/state-document.ts";
import { mutateBytes, mutateJson } from "./mutate.ts";
import type { MakeTarget } from "./target.ts";

const text = (input: Uint8Array) => Buffer.from(input).toString("utf8");

/** Reads JSON as the readers of files do. */
function json(input: Uint8Array): unknown {
  try {
    return JSON.parse(text(input));
  } catch (error) {
    throw new FormatError("no JSON", { cause: error });
  }
}

const yaml = `out: run
data: {train: a.tsv, valid: [a.en, a.zh], columns: [0, en], keys: [a, b.c]}
tokenizers: {joint: false, source: &t {type: word, vocabularySize: 8000}, target: *t}
model:
  units: 256
  cell: lstm
  sourceEmbeddings: glove:50d
training:
  optimizer: {type: adam, beta1: 0.9, learningRate: {type: linearWarmup, peak: 1e-3, warmup: 4, after: {type: inverseSqrt, peak: 1, warmup: 2}}}
  earlyStopping: {patience: 3}
`;

const config: MakeTarget = async () => ({
  make: (random) => mutateBytes(random, Buffer.from(yaml)),
  read: (input) => resolveConfig("config.yaml", parseConfig("config.yaml", text(input)), []),
});

/** A small translator, saved. */
async function saved(folder: string): Promise<Seq2Seq> {
  const tokenizer = await Tokenizer.train(["ab cd", "ba"], { type: "character" });
  const translator = Seq2Seq.recurrent({
    source: tokenizer,
    target: tokenizer,
    units: 3,
    embeddingDim: 2,
    bidirectional: true,
  });
  const fit = { verbose: "silent", optimizer: "adam", epochs: 1 } as const;
  await translator.fit([["ab", "ba"]], fit);
  await translator.save(folder);
  return translator;
}

const model: MakeTarget = async (folder) => {
  const place = join(folder, "model");
  await saved(place);
  const path = join(place, "config.json");
  const good: unknown = JSON.parse(await readFile(path, "utf8"));
  return {
    make: (random) => mutateJson(random, good),
    read: async (input) => {
      writeFileSync(path, input);
      (await loadModel(place)).dispose();
    },
  };
};

const graph: MakeTarget = async (folder) => {
  const translator = await saved(join(folder, "graph"));
  const good = translator.model.document as unknown as { layers: object[] };
  const inputs = [{ shape: ["batch", 5, 4], dtype: "float32", masked: true }];
  const ids = [{ shape: ["batch", "t"], dtype: "int32", masked: false }];
  return {
    make: (random) => {
      if (random.once(2)) return mutateJson(random, good);
      // A single call of a layer.
      return mutateJson(random, [random.pick(good.layers), random.once(2) ? inputs : ids]);
    },
    read: (input) => {
      const document = json(input);
      if (Array.isArray(document)) {
        inferLayer(JSON.stringify(document[0]) ?? "", JSON.stringify(document[1]) ?? "");
        return;
      }
      const { layers: list } = (document ?? {}) as { layers?: { name?: unknown }[] };
      const names = Array.isArray(list) ? list.map((layer) => String(layer?.name)) : [];
      const handles = names.map((name) => new LayerHandle(name, "[]"));
      new ModelHandle(text(input), handles, "cpu").dispose();
    },
  };
};

/** A safetensors file whose header is changed and fits its length again, or whose bytes are changed. */
function mutateTensors(random: Parameters<typeof mutateBytes>[0], good: Buffer): Uint8Array {
  if (random.once(3)) return mutateBytes(random, good);
  const length = 8 + Number(good.readBigUInt64LE());
  const header: unknown = JSON.parse(good.subarray(8, length).toString());
  const changed = mutateJson(random, header);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(changed.length));
  return Buffer.concat([size, changed, good.subarray(length)]);
}

const weights: MakeTarget = async (folder) => {
  const place = join(folder, "weights");
  const translator = await saved(place);
  const path = join(place, "model.safetensors");
  const good = await readFile(path);
  return {
    make: (random) => mutateTensors(random, good),
    read: async (input) => {
      writeFileSync(path, input);
      await translator.model.loadWeights(path);
    },
  };
};

const optimizer: MakeTarget = async (folder) => {
  const place = join(folder, "optimizer");
  const translator = await saved(place);
  const path = join(place, "optimizer.safetensors");
  const good = await readFile(path);
  return {
    make: (random) => mutateTensors(random, good),
    read: async (input) => {
      writeFileSync(path, input);
      await translator.model.trainer().loadState(path);
    },
  };
};

const state: MakeTarget = async () => {
  const good = {
    format: "sconce-training",
    version: 1,
    identity: { kind: "arrays", rows: 50, batchSize: 4, seed: 9 },
    epoch: 1,
    step: 2,
    begun: true,
    data: { epoch: 1, step: 2 },
    tally: { rows: 8, loss: { number: "NaN" }, outputs: [{ loss: 1, metrics: [{ total: 1, count: 2 }] }], tokens: 16 },
    history: { epoch: [0], history: { loss: [1.5] } },
    callbacks: [null, { values: { best: null }, lengths: [3] }],
    learningRate: 0.001,
  };
  return {
    make: (random) => mutateJson(random, good),
    read: (input) => decodeState(text(input), "training.json"),
  };
};

const tokenizer: MakeTarget = async () => {
  const good = (await Tokenizer.train(["How are you?", "don't"], { type: "word", lowercase: true })).toJSON();
  return {
    make: (random) => mutateJson(random, good),
    read: (input) => {
      const made = Tokenizer.fromJSON(json(input));
      made.decode(made.encode("don't you?"));
    },
  };
};

/** Files of Hugging Face's `tokenizers`. */
const tokenizerFile: MakeTarget = async (folder) => {
  const path = join(folder, "tokenizer.json");
  const file = JSON.parse(await readFile("__test__/golden/tokenizers/python.json", "utf8")) as {
    tokenizers: Record<string, { document: object }>;
  };
  const good = Object.values(file.tokenizers).map(({ document }) => document);
  for (const type of ["word", "wordPiece", "bpe", "unigram"] as const) {
    const own = await Tokenizer.train(["我来到北京清华大学", "how are you?"], { type, chineseWords: true });
    good.push((own.toJSON() as FileTokenizerDocument).tokenizer);
  }
  return {
    make: (random) => mutateJson(random, random.pick(good)),
    read: async (input) => {
      writeFileSync(path, input);
      const made = await Tokenizer.load(path);
      made.decode(made.encode("don't you? 你好 e\u0301"));
      made.encodeWithSpans("don't you?");
    },
  };
};

/** Models of SentencePiece. */
const sentencePiece: MakeTarget = async (folder) => {
  const path = join(folder, "tokenizer.model");
  const names = ["unigram", "bpe", "unigram-bytes", "bpe-suffix"];
  const good = await Promise.all(
    names.map((name) => readFile(`__test__/golden/tokenizers/sentencepiece/${name}.model`)),
  );
  return {
    make: (random) => mutateBytes(random, random.pick(good)),
    read: async (input) => {
      writeFileSync(path, input);
      const made = await Tokenizer.load(path);
      made.decode(made.encodeWithSpans("don't you?  你好 ① <sep> e\u0301").ids);
      Tokenizer.fromJSON(JSON.parse(JSON.stringify(made)));
    },
  };
};

/** `vocab.txt` of BERT. */
const vocabulary: MakeTarget = async (folder) => {
  const path = join(folder, "vocab.txt");
  const good = Buffer.from("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nyou\ndon\n##t\n'\nt\n?\n你\n");
  return {
    make: (random) => mutateBytes(random, good),
    read: async (input) => {
      writeFileSync(path, input);
      const made = await Tokenizer.load(path);
      made.decode(made.encode("don't you? 你好 e\u0301"));
      made.encodeWithSpans("don't you?");
    },
  };
};

/** `vocab.json` and `merges.txt` of GPT-2, one of them changed. */
const merges: MakeTarget = async (folder) => {
  const files = { vocabulary: join(folder, "vocab.json"), merges: join(folder, "merges.txt") };
  const tokens = ["a", "b", "Ġ", "Ã", "©", "ab", "Ġab", "<|endoftext|>"];
  const ids = Buffer.from(JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))));
  const pairs = Buffer.from("#version: 0.2\na b\nĠ ab\n");
  return {
    make: (random) => {
      const isIds = random.once(2);
      return Buffer.concat([Buffer.from([Number(isIds)]), mutateBytes(random, isIds ? ids : pairs)]);
    },
    read: async (input) => {
      const isIds = input[0] === 1;
      writeFileSync(files.vocabulary, isIds ? input.subarray(1) : ids);
      writeFileSync(files.merges, isIds ? pairs : input.subarray(1));
      const made = await Tokenizer.load(files);
      made.decode(made.encode("ab é abab x"));
    },
  };
};

const seq2seq: MakeTarget = async () => {
  const own = (await Tokenizer.train(["abc"], { type: "character" })).toJSON();
  const good = {
    format: "sconce-seq2seq",
    version: 1,
    source: own,
    target: own,
    encoderInput: 0,
    decoderInput: 1,
    output: 0,
    begin: 2,
    end: 3,
  };
  return {
    make: (random) => mutateJson(random, good),
    read: (input) => readSeq2SeqDocument(text(input)),
  };
};

const glove: MakeTarget = async (folder) => {
  const path = join(folder, "vectors.txt");
  const good = Buffer.from(Array.from({ length: 12 }, (_, row) => `w${row} 0.${row} -1e-3 ${row} .5\n`).join(""));
  const packed = gzipSync(good);
  const words = ["w1", "w3", "w11", "none"];
  return {
    make: (random) => mutateBytes(random, random.once(5) ? packed : good),
    read: async (input) => {
      writeFileSync(path, input);
      await readWordVectors([path], words, 0);
    },
  };
};

function table(name: string, good: string): MakeTarget {
  return async (folder) => {
    const path = join(folder, name);
    await writeFile(path, good);
    const bytes = Buffer.from(good);
    const packed = gzipSync(bytes);
    return {
      make: (random) => mutateBytes(random, random.once(5) ? packed : bytes),
      read: async (input) => {
        writeFileSync(path, input);
        await readParallelText(path);
      },
    };
  };
}

/** Several files, by compression. */
const parquet: MakeTarget = async (folder) => {
  const path = join(folder, "pairs.parquet");
  const names = ["none", "snappy", "gzip", "brotli", "version1"];
  const good = await Promise.all(names.map((name) => readFile(`__test__/golden/parquet/${name}.parquet`)));
  return {
    make: (random) => mutateBytes(random, random.pick(good)),
    read: async (input) => {
      writeFileSync(path, input);
      await readParallelText(path, { columns: ["en", "zh"] });
    },
  };
};

const rows = Array.from({ length: 8 }, (_, row) => row);

/** All targets by name. */
export const targets: Readonly<Record<string, MakeTarget>> = {
  config,
  graph,
  model,
  weights,
  optimizer,
  state,
  tokenizer,
  tokenizerFile,
  sentencePiece,
  vocabulary,
  merges,
  seq2seq,
  glove,
  tsv: table("pairs.tsv", rows.map((row) => `Sentence ${row}.\t第${row}句。\n`).join("")),
  csv: table("pairs.csv", rows.map((row) => `"Sentence, ""${row}"".","第\r\n${row}句。"\r\n`).join("")),
  jsonl: table("pairs.jsonl", rows.map((row) => `{"source":"S ${row}.","target":"\\u7b2c${row}"}\n`).join("")),
  parquet,
};
