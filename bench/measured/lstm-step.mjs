// Our side of `lstm-step`: trainOnBatch with new arrays for each step.
import { environment } from "sconce";
import { description, memory, serve } from "./serve.mjs";
import { CaseFile, textbook } from "./textbook.mjs";

const idle = memory();
let translator;
let batches;
let ids;

await serve({
  describe: () => ({ ...description(environment()), idleMiB: idle.residentMiB }),

  async open({ vocabulary, dimension, units, masked, weights, batches: places, weightsFile, idsFile }) {
    translator = textbook({ vocabulary, dimension, units, masked });
    await translator.build();
    const file = new CaseFile(weightsFile);
    await translator.setWeights(weights.map((place) => file.read(Float32Array, place)));
    ids = new CaseFile(idsFile);
    batches = places;
    return {};
  },

  async run({ first, count }) {
    const milliseconds = [];
    const losses = [];
    for (let step = first; step < first + count; step++) {
      const [source, decoder, goal] = batches[step % batches.length].map((place) => ids.read(Int32Array, place));
      const start = performance.now();
      const { loss } = await translator.trainOnBatch([source, decoder], goal);
      milliseconds.push(performance.now() - start);
      losses.push(loss);
    }
    return { milliseconds, losses };
  },

  memory: () => ({ peakMiB: memory().peakMiB }),
});
