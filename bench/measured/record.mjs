// Preloaded after tsx (`node --import=tsx --import`): writes down what a program trains with, without its help: initial weights, every update and, for
// the data of the last evaluation, what it gave. SCONCE_RECORD names the folder.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as addon from "../../index.js";
import { replaceAddon } from "../../src/native.ts";

const folder = process.env.SCONCE_RECORD;
const file = openSync(join(folder, "values"), "w");
let offset = 0;
const recorded = { document: null, compilation: null, weights: [], updates: [], evaluation: [] };

function write({ data, shape }) {
  const place = { shape, offset };
  offset += writeSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return place;
}

function arrays({ inputs, targets, learningRate }) {
  return { inputs: inputs.map(write), targets: targets.map(write), learningRate };
}

class RecordingModel extends addon.NativeModel {
  #document;

  constructor(document, layers, backend) {
    super(document, layers, backend);
    this.#document = document;
  }

  compile(compilation) {
    const trainer = super.compile(compilation);
    const begin = () => {
      if (recorded.document !== null) return;
      recorded.document = JSON.parse(this.#document);
      recorded.compilation = JSON.parse(compilation);
      const { weights } = JSON.parse(this.describe());
      // Queued before the first update, so these are the initial values.
      this.getWeights().then((values) => {
        recorded.weights = values.map((data, index) => ({
          layer: weights[index].layer,
          name: weights[index].name,
          ...write({ data, shape: weights[index].shape }),
        }));
      });
    };
    return {
      trainOnBatch(request, cancel) {
        begin();
        recorded.updates.push(arrays(request));
        recorded.evaluation = [];
        return trainer.trainOnBatch(request, cancel);
      },
      async testOnBatch(request, cancel) {
        const result = await trainer.testOnBatch(request, cancel);
        recorded.evaluation.push({ ...arrays(request), loss: result.loss, tokens: result.tokens });
        return result;
      },
      iterations: () => trainer.iterations(),
      saveState: (path) => trainer.saveState(path),
      loadState: (path) => trainer.loadState(path),
      dispose: () => trainer.dispose(),
    };
  }
}

replaceAddon({ ...addon, NativeModel: RecordingModel });
process.on("exit", () => {
  closeSync(file);
  writeFileSync(join(folder, "record.json"), JSON.stringify(recorded));
});
