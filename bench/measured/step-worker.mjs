// Our side of a bench of training steps: trainOnBatch with new arrays for each step.
import { environment } from "sconce";
import { description, memory, serve } from "./serve.mjs";
import { CaseFile } from "./textbook.mjs";

/** Places of the weights in the model's order: they are in it already, unless they have names. */
function inOrder({ layers }, { weights, weightNames }) {
  if (weightNames === undefined) return weights;
  const places = new Map(weightNames.map((name, index) => [name, weights[index]]));
  const ordered = layers.flatMap((layer) => layer.weights.map(({ name }) => places.get(`${layer.name}/${name}`)));
  if (ordered.length !== places.size || ordered.includes(undefined)) {
    const own = layers.flatMap((layer) => layer.weights.map(({ name }) => `${layer.name}/${name}`));
    throw new Error(`the model has the weights ${own.join(", ")}`);
  }
  return ordered;
}

/** Answers `describe`, `open`, `run`, `evaluate` and `memory`; `define` makes the compiled model of a case. */
export async function serveSteps(define) {
  const idle = memory();
  let translator;
  let batches;
  let ids;
  const arrays = (places) => places.map((place) => ids.read(Int32Array, place));

  await serve({
    describe: () => ({ ...description(environment()), idleMiB: idle.residentMiB }),

    async open(described) {
      translator = define(described);
      await translator.build();
      const file = new CaseFile(described.weightsFile);
      await translator.setWeights(inOrder(translator, described).map((place) => file.read(Float32Array, place)));
      ids = new CaseFile(described.idsFile);
      batches = described.batches;
      return {};
    },

    async run({ first, count }) {
      const milliseconds = [];
      const losses = [];
      for (let step = first; step < first + count; step++) {
        const [source, decoder, goal] = arrays(batches[step % batches.length]);
        const start = performance.now();
        const { loss } = await translator.trainOnBatch([source, decoder], goal);
        milliseconds.push(performance.now() - start);
        losses.push(loss);
      }
      return { milliseconds, losses };
    },

    // The model has the metric `nll`. Batch by batch: over several of them a metric of Keras is a mean of rows, in which a token of a
    // short text weighs more than one of a long text, and not that of all tokens.
    async evaluate({ batches }) {
      let [sum, tokens] = [0, 0];
      for (const places of batches) {
        const [source, decoder, goal] = arrays(places);
        const own = goal.data.reduce((count, id) => count + (id !== 0 ? 1 : 0), 0);
        const batch = [{ inputs: [source, decoder], targets: [goal] }];
        const { nll } = await translator.evaluate(batch, { verbose: "silent" });
        sum += nll * own;
        tokens += own;
      }
      return { loss: sum / tokens, tokens };
    },

    memory: () => ({ peakMiB: memory().peakMiB }),
  });
}
