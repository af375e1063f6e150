// Our side of `attention`.
import { input, layers, model, sgd } from "sconce";
import { serveSteps } from "./step-worker.mjs";

/** The compiled model of a case (bench/attention-cases.ts). */
function define({ vocabulary, dimension, heads, causal, classes }) {
  const embedding = layers.embedding({ name: "embedding", inputDim: vocabulary, outputDim: dimension });
  const inputs = [0, 1].map(() => input({ shape: [null], dtype: "int32" }));
  const [keys, queries] = inputs.map((ids) => embedding(ids));
  const attention = layers.multiHeadAttention({ name: "attention", numHeads: heads, keyDim: dimension / heads });
  const attended = attention(queries, keys, { useCausalMask: causal });
  const mean = layers.globalAveragePooling1d()(attended);
  const outputs = layers.dense({ name: "classes", units: classes, activation: "softmax" })(mean);
  const classifier = model({ inputs, outputs });
  classifier.compile({ optimizer: sgd({ learningRate: 0.01 }), loss: "sparseCategoricalCrossentropy" });
  return classifier;
}

await serveSteps(define);
