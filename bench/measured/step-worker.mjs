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

    // The model has the metric `nll`, the mean over all tokens.
    async evaluate({ batches }) {
      const data = batches.map((places) => {
        const [source, decoder, goal] = arrays(places);
        return { inputs: [source, decoder], targets: [goal] };
      });
      const { nll } = await translator.evaluate(data, { verbose: "silent" });
      const tokens = data.flatMap(({ targets: [goal] }) => [...goal.data]).filter((id) => id !== 0).length;
      return { loss: nll, tokens };
    },

    memory: () => ({ peakMiB: memory().peakMiB }),
  });
}
