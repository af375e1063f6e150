import { readFileSync } from "node:fs";
import { input, layers, model, ndarray, rmsprop } from "sconce";

/** The textbook model: one embedding for both sides, encoder and decoder LSTM, dense softmax; compiled with RMSprop. */
export function textbook({ vocabulary, dimension, units, masked }) {
  const embedding = layers.embedding({ inputDim: vocabulary, outputDim: dimension, maskZero: masked });
  const encoderInputs = input({ shape: [null], dtype: "int32" });
  const [, stateH, stateC] = layers.lstm({ units, returnState: true })(embedding(encoderInputs));
  const decoderInputs = input({ shape: [null], dtype: "int32" });
  const [decoderOutputs] = layers.lstm({ units, returnSequences: true, returnState: true })(embedding(decoderInputs), {
    initialState: [stateH, stateC],
  });
  const probabilities = layers.dense({ units: vocabulary, activation: "softmax" })(decoderOutputs);
  const translator = model({ inputs: [encoderInputs, decoderInputs], outputs: probabilities });
  translator.compile({ optimizer: rmsprop({ learningRate: 0.001 }), loss: "sparseCategoricalCrossentropy" });
  return translator;
}

/** Arrays of a case file (bench/lstm-step-cases.ts); each call makes new ones. */
export class CaseFile {
  #bytes;

  constructor(path) {
    this.#bytes = readFileSync(path);
  }

  /** Values at a place: `{ shape, offset }`. */
  read(Type, { shape, offset }) {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const bytes = this.#bytes.subarray(offset, offset + 4 * size);
    return ndarray(new Type(new Uint8Array(bytes).buffer), shape);
  }
}
