// Training and encoding of byte pairs through the public API, with the delay of the event loop meanwhile.
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { environment, Tokenizer } from "sconce";
import { description, memory, serve } from "./serve.mjs";

const resolution = 1;
let texts;
let tokenizer;

/** Runs work and tells how long it took and how late timers came. */
async function timed(work) {
  const monitor = monitorEventLoopDelay({ resolution });
  monitor.enable();
  const start = performance.now();
  const result = await work();
  const milliseconds = performance.now() - start;
  // The monitor sees a delay only when its timer comes again.
  await sleep(5);
  monitor.disable();
  const value = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolution);
  return [result, { milliseconds, delayP99Ms: value(monitor.percentile(99)), delayMaxMs: value(monitor.max) }];
}

/** A number that depends on all ids and their order. */
function checksum(ids) {
  let sum = 0;
  for (const id of ids) sum = (Math.imul(sum, 31) + id) >>> 0;
  return sum;
}

await serve({
  describe: () => description(environment()),

  open({ file, lines }) {
    const all = gunzipSync(readFileSync(file)).toString("utf8").split("\n");
    texts = all.map((line) => line.trim()).filter((line) => line !== "");
    if (lines !== null) texts = texts.slice(0, lines);
    return { texts: texts.length };
  },

  async train({ byteLevel, vocabularySize }) {
    const [trained, times] = await timed(() => Tokenizer.train(texts, { type: "bpe", byteLevel, vocabularySize }));
    tokenizer = trained;
    return { ...times, tokens: trained.vocabulary.size, peakMiB: memory().peakMiB };
  },

  /** What the peer needs to do the same. */
  document: () => ({ document: JSON.stringify(tokenizer.toJSON().tokenizer) }),

  async encode() {
    const [{ ids }, times] = await timed(() => tokenizer.encodeBatch(texts));
    return { ...times, tokens: ids.length, checksum: checksum(ids), peakMiB: memory().peakMiB };
  },
});
