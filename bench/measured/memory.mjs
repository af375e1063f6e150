// Resident memory over many steps of changing shapes, and over models that are created and disposed of.
import { environment, ndarray } from "sconce";
import { description, memory, serve } from "./serve.mjs";
import { textbook } from "./textbook.mjs";

const size = { vocabulary: 2000, dimension: 32, units: 64, masked: true };
const shapes = [
  [16, 12, 15],
  [16, 5, 7],
  [8, 20, 24],
  [32, 9, 9],
  [16, 17, 11],
  [1, 3, 4],
  [24, 12, 20],
  [13, 7, 18],
];

function ids(rows, length, step) {
  const data = Int32Array.from({ length: rows * length }, (_, index) => 1 + ((index * 7919 + step * 104729) % 1999));
  return ndarray(data, [rows, length]);
}

async function train(translator, step) {
  const [rows, source, target] = shapes[step % shapes.length];
  const encoder = ids(rows, source, step);
  await translator.trainOnBatch([encoder, ids(rows, target, step + 1)], ids(rows, target, step + 2));
}

/** Resident memory after a collection: what the garbage collector has not got round to is no leak. */
function resident() {
  globalThis.gc();
  return memory().residentMiB;
}

await serve({
  describe: () => description(environment()),

  async steps({ from, to, every }) {
    const translator = textbook(size);
    const samples = [];
    for (let step = 1; step <= to; step++) {
      await train(translator, step);
      if (step >= from && (step - from) % every === 0) samples.push({ step, residentMiB: resident() });
    }
    translator.dispose();
    return { samples };
  },

  async models({ from, to, every }) {
    const samples = [];
    for (let model = 1; model <= to; model++) {
      const translator = textbook(size);
      await train(translator, 0);
      translator.dispose();
      if (model >= from && (model - from) % every === 0) samples.push({ model, residentMiB: resident() });
    }
    return { samples };
  },
});
