// Steps of an encoder of six layers over long inputs, whose layers keep their values for the backward pass or make them again.
import { environment, input, layers, model, ndarray, sgd } from "sconce";
import { description, memory, serve } from "./serve.mjs";

const [vocabulary, classes] = [8000, 10];

function classifier({ recompute, dimension, heads, depth }) {
  const ids = input({ shape: [null], dtype: "int32" });
  const embedded = layers.embedding({ inputDim: vocabulary, outputDim: dimension, maskZero: true })(ids);
  let x = layers.positionalEncoding({ scale: true })(embedded);
  const options = { intermediateDim: 4 * dimension, numHeads: heads, dropout: 0.1, normalizeFirst: true, recompute };
  for (let layer = 0; layer < depth; layer++) x = layers.transformerEncoder(options)(x);
  const mean = layers.globalAveragePooling1d()(layers.layerNormalization()(x));
  const made = model({ inputs: ids, outputs: layers.dense({ units: classes, activation: "softmax" })(mean) });
  made.compile({ optimizer: sgd({ learningRate: 0.01 }), loss: "sparseCategoricalCrossentropy", seed: 3 });
  return made;
}

let trained;
let batch;

await serve({
  describe: () => ({ ...description(environment()), idleMiB: memory().peakMiB }),

  async open({ batch: rows, length, ...options }) {
    trained = classifier(options);
    await trained.build({ seed: 3 });
    const tokens = Int32Array.from({ length: rows * length }, (_, place) => 1 + ((place * 7919) % (vocabulary - 1)));
    const labels = Int32Array.from({ length: rows }, (_, row) => row % classes);
    batch = [ndarray(tokens, [rows, length]), ndarray(labels, [rows])];
    return { weightsMiB: (4 * trained.countParams()) / 2 ** 20 };
  },

  async step() {
    const start = performance.now();
    const { loss } = await trained.trainOnBatch(...batch);
    return { milliseconds: performance.now() - start, loss, peakMiB: memory().peakMiB };
  },
});
