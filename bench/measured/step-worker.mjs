// Our side of a bench of training steps: trainOnBatch with new arrays for each step.
import { environment } from "sconce";
import { description, memory, serve } from "./serve.mjs";
import { CaseFile } from "./textbook.mjs";

/** Answers `describe`, `open`, `run` and `memory`; `define` makes the compiled model of a case. */
export async function serveSteps(define) {
  const idle = memory();
  let translator;
  let batches;
  let ids;

  await serve({
    describe: () => ({ ...description(environment()), idleMiB: idle.residentMiB }),

    async open(described) {
      translator = define(described);
      await translator.build();
      const file = new CaseFile(described.weightsFile);
      await translator.setWeights(described.weights.map((place) => file.read(Float32Array, place)));
      ids = new CaseFile(described.idsFile);
      batches = described.batches;
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
}
