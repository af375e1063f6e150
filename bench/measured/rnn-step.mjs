// Our side of `rnn-step`.
import { input, layers, model, rmsprop } from "sconce";
import { serveSteps } from "./step-worker.mjs";

/** What reads the source, and what writes the target from the states. */
const kinds = {
  gru(units, source, target) {
    const [, h] = layers.gru({ units, returnState: true })(source);
    return layers.gru({ units, returnSequences: true })(target, { initialState: [h] });
  },

  bidirectional(units, source, target) {
    const encoder = layers.bidirectional({ layer: layers.lstm({ units, returnState: true }) });
    const [, forwardH, forwardC, backwardH, backwardC] = encoder(source);
    const initialState = [layers.add()([forwardH, backwardH]), layers.add()([forwardC, backwardC])];
    return layers.lstm({ units, returnSequences: true })(target, { initialState });
  },
};

/** The compiled model of a case (bench/rnn-step-cases.ts). */
function define({ kind, vocabulary, dimension, units, masked }) {
  const embedding = layers.embedding({ inputDim: vocabulary, outputDim: dimension, maskZero: masked });
  const inputs = [0, 1].map(() => input({ shape: [null], dtype: "int32" }));
  const [source, target] = inputs.map((ids) => embedding(ids));
  const outputs = layers.dense({ units: vocabulary, activation: "softmax" })(kinds[kind](units, source, target));
  const translator = model({ inputs, outputs });
  translator.compile({ optimizer: rmsprop({ learningRate: 0.001 }), loss: "sparseCategoricalCrossentropy" });
  return translator;
}

await serveSteps(define);
