// How late timers come while a model trains, beside an idle baseline in the same process.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { environment } from "sconce";
import { description, serve } from "./serve.mjs";
import { CaseFile, textbook } from "./textbook.mjs";

const resolution = 1;
let translator;
let batches;
let ids;
let steps = 0;

/** Delays in milliseconds during `work`: the interval that the monitor measures includes its resolution. */
async function delays(work) {
  const monitor = monitorEventLoopDelay({ resolution });
  monitor.enable();
  await work();
  monitor.disable();
  const value = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolution);
  return {
    p50Ms: value(monitor.percentile(50)),
    p99Ms: value(monitor.percentile(99)),
    p999Ms: value(monitor.percentile(99.9)),
    maxMs: value(monitor.max),
    samples: monitor.count,
  };
}

async function step() {
  const [source, decoder, goal] = batches[steps++ % batches.length].map((place) => ids.read(Int32Array, place));
  await translator.trainOnBatch([source, decoder], goal);
}

await serve({
  describe: () => description(environment()),

  async open({ vocabulary, dimension, units, masked, batches: places, idsFile }) {
    translator = textbook({ vocabulary, dimension, units, masked });
    batches = places;
    ids = new CaseFile(idsFile);
    for (let count = 0; count < 10; count++) await step();
    return {};
  },

  idle: ({ seconds }) => delays(() => sleep(1000 * seconds)),

  async busy({ seconds }) {
    const before = steps;
    const end = performance.now() + 1000 * seconds;
    const measured = await delays(async () => {
      while (performance.now() < end) await step();
    });
    return { ...measured, steps: steps - before };
  },
});
