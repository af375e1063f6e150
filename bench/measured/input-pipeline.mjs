// Our side of `input-pipeline`: sentence pairs of a file as batches, and the training step that they feed.
import { environment, padSequences, Seq2Seq, streamParallelText, Tokenizer } from "sconce";
import { description, memory, serve } from "./serve.mjs";
import { textbook } from "./textbook.mjs";

/** Pairs that the vocabularies are made of. */
const sample = 100_000;
const dimension = 50;
const units = 256;

let path;
let size;
let source;
let target;

/** Pairs as ids, those of similar length together, padded: what Seq2Seq.fit does. */
function batches() {
  return streamParallelText(path)
    .map((pair) => ({
      source: source.encode(pair.source, { addEnd: true }),
      target: target.encode(pair.target, { addBegin: true, addEnd: true }),
    }))
    .bucketByLength(
      { length: (pair) => Math.max(pair.source.length, pair.target.length - 1), batchSize: size, seed: 1 },
      (pairs) => ({
        inputs: [
          padSequences(pairs.map((pair) => pair.source)),
          padSequences(pairs.map((pair) => pair.target.subarray(0, -1))),
        ],
        targets: [padSequences(pairs.map((pair) => pair.target.subarray(1)))],
      }),
    );
}

function model() {
  return textbook({ vocabulary: source.vocabulary.size, dimension, units, masked: true });
}

const count = (array) => array.data.reduce((sum, id) => sum + (id === 0 ? 0 : 1), 0);

await serve({
  describe: () => description(environment()),

  async open({ path: file, batchSize, vocabulary }) {
    path = file;
    size = batchSize;
    const lines = (side) =>
      streamParallelText(path)
        .take(sample)
        .map((pair) => pair[side]);
    const options = { type: "word", vocabularySize: vocabulary };
    source = await Tokenizer.train(lines("source"), options);
    target = await Tokenizer.train(lines("target"), options);
    return {};
  },

  // The step alone, on batches that are there already, and in fit with the pipeline beside it.
  async steps({ warmUp, count }) {
    const translator = model();
    await translator.build();
    const list = [];
    for await (const batch of batches().take(warmUp + count)) list.push(batch);
    const stepMs = [];
    for (const [index, { inputs, targets }] of list.entries()) {
      const start = performance.now();
      await translator.trainOnBatch(inputs, targets[0]);
      if (index >= warmUp) stepMs.push(performance.now() - start);
    }
    const fitMs = [];
    let start = 0;
    const clock = {
      onBatchEnd(step) {
        const now = performance.now();
        if (step >= warmUp) fitMs.push(now - start);
        start = now;
      },
    };
    await translator.fit(batches().take(warmUp + count), { verbose: "silent", callbacks: [clock] });
    return { stepMs, fitMs };
  },

  async stream() {
    const totals = { lines: 0, tokens: 0, batches: 0, positions: 0 };
    const residentMiB = [];
    const start = performance.now();
    for await (const { inputs } of batches()) {
      totals.lines += inputs[0].shape[0];
      for (const array of inputs) {
        totals.tokens += count(array);
        totals.positions += array.data.length;
      }
      totals.batches += 1;
      if (totals.batches % 500 === 0) residentMiB.push(memory().residentMiB);
    }
    const seconds = (performance.now() - start) / 1000;
    residentMiB.push(memory().residentMiB);
    return { ...totals, seconds, residentMiB, peakMiB: memory().peakMiB };
  },

  // What Seq2Seq.fit holds with keepIds, until its first step.
  async keep() {
    const translator = Seq2Seq.fromModel({ model: model(), source, target });
    await translator.model.build();
    const emptyMiB = memory().residentMiB;
    let lines = 0;
    let ids = 0;
    const pairs = streamParallelText(path).map((pair) => {
      lines += 1;
      return pair;
    });
    const counted = (tokenizer) => {
      const encode = tokenizer.encode.bind(tokenizer);
      tokenizer.encode = (text, options) => {
        const made = encode(text, options);
        ids += made.length;
        return made;
      };
    };
    for (const tokenizer of [source, target]) counted(tokenizer);
    const stop = new Error("enough");
    const start = performance.now();
    const callbacks = [
      {
        onBatchBegin() {
          throw stop;
        },
      },
    ];
    await translator.fit(pairs, { keepIds: true, batchSize: size, verbose: "silent", callbacks }).catch((error) => {
      if (error !== stop) throw error;
    });
    return {
      lines,
      ids: ids + 2 * lines,
      seconds: (performance.now() - start) / 1000,
      peakMiB: memory().peakMiB,
      emptyMiB,
    };
  },
});
