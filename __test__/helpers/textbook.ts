import { input, layers, model } from "../../src/index.ts";

/** The encoder-decoder of the Keras tutorials, with one embedding for both sides. */
export function textbook({ vocabulary = 12, dimension = 3, units = 4, maskZero = true } = {}) {
  const embedding = layers.embedding({ inputDim: vocabulary, outputDim: dimension, maskZero });
  const encoderInputs = input({ shape: [null], dtype: "int32" });
  const [, stateH, stateC] = layers.lstm({ units, returnState: true })(embedding(encoderInputs));
  const decoderInputs = input({ shape: [null], dtype: "int32" });
  const decoderLstm = layers.lstm({ units, returnSequences: true, returnState: true });
  const [decoderOutputs] = decoderLstm(embedding(decoderInputs), { initialState: [stateH, stateC] });
  const decoderDense = layers.dense({ units: vocabulary, activation: "softmax" });
  const translator = model({ inputs: [encoderInputs, decoderInputs], outputs: decoderDense(decoderOutputs) });
  return { translator, embedding, encoderInputs, decoderInputs, stateH, stateC, decoderLstm, decoderDense };
}
