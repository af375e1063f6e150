import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { glove, input, layers, model, readParallelText, SconceError, Tokenizer } from "../../src/index.ts";
import { readSeq2SeqDocument } from "../../src/models/seq2seq/document.ts";
import { complaint } from "../boundary/outcomes.ts";

async function place(t: ExecutionContext, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sconce-text-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return join(folder, name);
}

const lines = Array.from({ length: 200 }, (_, index) => `Sentence ${index}.\t第${index}句。\n`).join("");
const rows = Array.from({ length: 200 }, (_, index) => `"Sentence, ""${index}"".","第\r\n${index}句。"\r\n`).join("");
const objects = Array.from(
  { length: 200 },
  (_, index) => `{"source":"Sentence ${index}.","target":"\\u7b2c${index}"}\n`,
);
const vectors = Array.from({ length: 50 }, (_, index) => `w${index} 0.${index} -1e-3 ${index}\n`).join("");

/** Bytes with some of them changed, cut off, or put in again. */
const damage = (good: Buffer) =>
  fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255), fc.constantFrom("change", "cut", "repeat")), {
      minLength: 1,
      maxLength: 4,
    })
    .map((changes) => {
      let bytes = Buffer.from(good);
      for (const [at, value, kind] of changes) {
        const index = Math.min(at, bytes.length - 1);
        if (index < 0) return bytes;
        if (kind === "cut") bytes = bytes.subarray(0, index);
        else if (kind === "repeat") bytes = Buffer.concat([bytes.subarray(0, index), bytes.subarray(index >> 1)]);
        else bytes[index] = value;
      }
      return bytes;
    });

for (const [name, file, good] of [
  ["plain text", "pairs", Buffer.from(lines)],
  ["gzip", "pairs", gzipSync(lines)],
  ["CSV", "pairs.csv", Buffer.from(rows)],
  ["JSON Lines", "pairs.jsonl", Buffer.from(objects.join(""))],
] as const) {
  test(`tables with any damage give pairs or a typed error: ${name}`, async (t) => {
    const path = await place(t, file);
    await writeFile(path, good);
    t.is([...(await readParallelText(path))].length, 200);
    await fc.assert(
      fc.asyncProperty(damage(good), async (bytes) => {
        await writeFile(path, bytes);
        const problem = await complaint(() => readParallelText(path));
        if (problem !== undefined) throw new Error(problem);
      }),
      { numRuns: 150, seed: 1 },
    );
  });
}

for (const [name, good] of [
  ["plain text", Buffer.from(vectors)],
  ["gzip", gzipSync(vectors)],
] as const) {
  test(`word vectors with any damage give weights or a typed error: ${name}`, async (t) => {
    const path = await place(t, "vectors.3d.txt");
    const { vocabulary } = await Tokenizer.train(["w1 w2 w3 w49 nowhere"], { type: "word" });
    const build = () => {
      const x = input({ shape: [null], dtype: "int32" });
      const options = { inputDim: vocabulary.size, outputDim: 3, embeddingsInitializer: glove({ path }), vocabulary };
      return model({ inputs: x, outputs: layers.embedding(options)(x) }).build();
    };
    await writeFile(path, good);
    await t.notThrowsAsync(build());
    await fc.assert(
      fc.asyncProperty(damage(good), async (bytes) => {
        await writeFile(path, bytes);
        const problem = await complaint(build);
        if (problem !== undefined) throw new Error(problem);
      }),
      { numRuns: 150, seed: 2 },
    );
  });
}

test("tokenisers and translators of damaged JSON are read or refused with a typed error", async (t) => {
  const tokenizer = await Tokenizer.train(["abc def"], { type: "word" });
  const document = {
    format: "sconce-seq2seq",
    version: 1,
    source: tokenizer.toJSON(),
    target: tokenizer.toJSON(),
    encoderInput: 0,
    decoderInput: 1,
    output: 0,
    begin: 2,
    end: 3,
  };
  const good = JSON.stringify(document);
  t.notThrows(() => readSeq2SeqDocument(good));
  const places: string[][] = [];
  const walk = (node: unknown, path: string[]) => {
    if (path.length > 0) places.push(path);
    if (typeof node === "object" && node !== null) for (const [k, v] of Object.entries(node)) walk(v, [...path, k]);
  };
  walk(document, []);
  const values = [null, -1, 1.5, 2 ** 53, "", "../x", "__proto__", [], {}, [[]], true, ["a", "a"], "\ud800"];
  for (const path of places) {
    for (const value of values) {
      const copy = JSON.parse(good);
      let node = copy;
      for (const key of path.slice(0, -1)) node = node[key];
      node[path.at(-1)!] = value;
      try {
        readSeq2SeqDocument(JSON.stringify(copy));
      } catch (error) {
        const fine = error instanceof SconceError && error.code === "FORMAT";
        t.true(fine, `${path.join(".")} = ${JSON.stringify(value)}: ${(error as Error).stack}`);
      }
    }
  }
  t.throws(() => readSeq2SeqDocument("[".repeat(100_000)), { code: "FORMAT" });
  t.throws(() => readSeq2SeqDocument(good.slice(0, -1)), { code: "FORMAT" });
});
