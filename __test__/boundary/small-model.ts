import { type CompileOptions, input, layers, model, type NdArray, ndarray } from "../../src/index.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

/** `[rows, width]` floats by formula. */
export function floats(rows: number, width: number, seed = 1): NdArray<Float32Array> {
  return ndarray(formulaValues(seed, rows * width, 1), [rows, width]);
}

/** `[rows]` ids below `classes`. */
export function ids(rows: number, classes: number, seed = 2): NdArray<Int32Array> {
  return ndarray(formulaIntegers(seed, rows, 0, classes), [rows]);
}

/** A classifier of 3 numbers into 4 classes, compiled. */
export function classifier(options: Partial<CompileOptions> = {}) {
  const x = input({ shape: [3], name: "numbers" });
  const y = layers.dense({ units: 4, activation: "softmax", name: "classes" })(x);
  const net = model({ inputs: x, outputs: y });
  net.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy", ...options });
  return net;
}

/** A recurrent tagger with steps that take a while: `[rows, time]` ids in, as many out. */
export function slowTagger({ units = 192, vocabulary = 400 } = {}) {
  const x = input({ shape: [null], dtype: "int32", name: "ids" });
  const embedding = layers.embedding({ inputDim: vocabulary, outputDim: 32, name: "table" });
  const states = layers.lstm({ units, returnSequences: true })(embedding(x));
  const net = model({ inputs: x, outputs: layers.dense({ units: vocabulary, activation: "softmax" })(states) });
  net.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
  const batch = (rows = 32, time = 24, seed = 3) =>
    ndarray(formulaIntegers(seed, rows * time, 0, vocabulary), [rows, time]);
  return { net, batch };
}
