// Resident memory over long runs; see bench/long-run.ts.
import { Worker as Thread } from "node:worker_threads";
import { environment, Seq2Seq, Tokenizer } from "sconce";
import { description, resident, serve } from "./serve.mjs";
import { trainSome } from "./small-steps.mjs";
import { textbook } from "./textbook.mjs";

const words = Array.from({ length: 200 }, (_, index) => `w${index}`);
const size = { vocabulary: 204, dimension: 16, units: 32, masked: true };

/**
 * Calls `work` with 0, 1, ... up to `count`, `atOnce` of them waiting at a time, and samples memory a hundred times after the
 * first `warm`.
 */
async function repeat({ count, warm, atOnce = 1 }, work) {
  const every = Math.max(1, Math.floor((count - warm) / 100));
  const samples = [];
  const began = performance.now();
  let [next, done, last] = [0, 0, performance.now()];
  const watch = setInterval(() => {
    if (performance.now() - last < 60_000) return;
    process.stdout.write(
      `${JSON.stringify({ error: `deadlock: nothing was done for a minute after ${done} of ${count}` })}\n`,
    );
    process.exit(1);
  }, 1000);
  const lane = async () => {
    while (next < count) {
      await work(next++);
      last = performance.now();
      if (++done >= warm && (done - warm) % every === 0) samples.push({ done, residentMiB: resident() });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  clearInterval(watch);
  return { samples, seconds: (performance.now() - began) / 1000 };
}

async function translator() {
  const tokenizer = await Tokenizer.train(words, { type: "word" });
  return Seq2Seq.fromModel({
    model: textbook({ ...size, vocabulary: tokenizer.vocabulary.size }),
    source: tokenizer,
    target: tokenizer,
  });
}

/** A sentence of 1 to 12 words. */
const sentence = (number) =>
  Array.from({ length: 1 + (number % 12) }, (_, at) => words[(number * 31 + at * 17) % 200]).join(" ");

await serve({
  describe: () => description(environment()),

  steps(run) {
    const model = textbook(size);
    return repeat(run, (step) => trainSome(model, step, size.vocabulary));
  },

  async generate(run) {
    const model = await translator();
    await model.model.build();
    return repeat(run, (call) => model.generate([sentence(call)], { maxNewTokens: 1 + (call % 16) }));
  },

  async both(run) {
    const [trained, generating] = [textbook(size), await translator()];
    await generating.model.build();
    return repeat(run, async (number) => {
      await (number % 2 === 0
        ? trainSome(trained, number, size.vocabulary)
        : generating.generate([sentence(number)], { maxNewTokens: 1 + (number % 16) }));
    });
  },

  workers(run) {
    // Every third is ended from outside while it trains.
    return repeat(run, (number) => {
      const thread = new Thread(new URL("long-run-thread.mjs", import.meta.url), { workerData: { size, number } });
      return new Promise((resolve, reject) => {
        thread.once("error", reject);
        thread.once("exit", resolve);
        if (number % 3 === 0) thread.once("message", () => void thread.terminate());
      });
    });
  },
});
