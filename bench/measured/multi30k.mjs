// Multi30k as batches of ids in a file that both sides read: `prepare` of a worker.
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { environment, readParallelText, Tokenizer } from "sconce";
import { description, serve } from "./serve.mjs";

/** Numbers from 0 to 1, the same for the same seed. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(items, next) {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(next() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

/**
 * An epoch: pairs of like lengths together, by target and then by source, so that there is little padding on either side; at most
 * `batchTokens` target positions in a batch, padding included. The batches are mixed.
 */
function epoch(pairs, batchTokens, next) {
  const length = (pair) => pair.target.length - 1;
  const sorted = shuffled(pairs, next).sort((a, b) => length(a) - length(b) || a.source.length - b.source.length);
  const batches = [[]];
  for (const pair of sorted) {
    if ((batches.at(-1).length + 1) * length(pair) > batchTokens) batches.push([]);
    batches.at(-1).push(pair);
  }
  return shuffled(batches, next);
}

/** Rows padded at their ends. */
function padded(rows) {
  const length = Math.max(...rows.map((row) => row.length));
  const data = new Int32Array(rows.length * length);
  for (const [index, row] of rows.entries()) data.set(row, index * length);
  return { shape: [rows.length, length], data };
}

async function encoded(tokenizer, pairs) {
  const sources = await tokenizer.encodeBatch(pairs.sources(), { addEnd: true });
  const targets = await tokenizer.encodeBatch(pairs.targets(), { addBegin: true, addEnd: true });
  return Array.from({ length: pairs.length }, (_, index) => ({ source: sources.at(index), target: targets.at(index) }));
}

/** Writes batches one behind the other; places as in bench/lstm-step-cases.ts. */
class IdsFile {
  #stream;
  #offset = 0;

  constructor(path) {
    this.#stream = createWriteStream(path);
  }

  /** Source, decoder and goal ids of pairs, and how many target tokens they have. */
  async add(pairs) {
    const places = [];
    for (const rows of [
      pairs.map(({ source }) => source),
      pairs.map(({ target }) => target.subarray(0, -1)),
      pairs.map(({ target }) => target.subarray(1)),
    ]) {
      const { shape, data } = padded(rows);
      places.push({ shape, offset: this.#offset });
      this.#offset += data.byteLength;
      if (!this.#stream.write(new Uint8Array(data.buffer))) await new Promise((go) => this.#stream.once("drain", go));
    }
    return { places, tokens: pairs.reduce((sum, { target }) => sum + target.length - 1, 0) };
  }

  async close() {
    this.#stream.end();
    await finished(this.#stream);
  }
}

await serve({
  describe: () => description(environment()),

  /** Trains a joint vocabulary on the training pairs and writes `updates` batches, then those of the validation pairs. */
  async prepare({ training, validation, vocabularySize, batchTokens, updates, seed, idsFile }) {
    const pairs = await readParallelText(training);
    const texts = [...pairs.sources(), ...pairs.targets()];
    const tokenizer = await Tokenizer.train(texts, { type: "bpe", vocabularySize, lowercase: true });
    const next = random(seed);
    const items = await encoded(tokenizer, pairs);
    const file = new IdsFile(idsFile);
    const written = [];
    while (written.length < updates) {
      for (const batch of epoch(items, batchTokens, next).slice(0, updates - written.length)) {
        written.push(await file.add(batch));
      }
    }
    const held = [];
    if (validation !== undefined) {
      const items = await encoded(tokenizer, await readParallelText(validation));
      for (const batch of epoch(items, batchTokens, next)) held.push(await file.add(batch));
    }
    await file.close();
    return {
      vocabulary: tokenizer.vocabulary.size,
      batches: written.map(({ places }) => places),
      tokens: written.map(({ tokens }) => tokens),
      validation: held.map(({ places }) => places),
      validationTokens: held.reduce((sum, { tokens }) => sum + tokens, 0),
    };
  },
});
