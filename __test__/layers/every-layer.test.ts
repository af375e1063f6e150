/** What holds for all layers: every weight learns, weights before them learn through them, and padding changes nothing. */
import test from "ava";
import { input, layers, model, ndarray, optimizers, type SymbolicTensor } from "../../src/index.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

const [batch, steps, width, classes] = [4, 5, 4, 3];

type Build = (x: SymbolicTensor, ids: SymbolicTensor) => SymbolicTensor;

/** One use of each layer: of a sequence of features, which has no mask, and of padded ids. */
const uses: Record<string, Build> = {
  activation: (x) => layers.activation({ activation: "softplus" })(x),
  add: (x) => layers.add()([x, x]),
  attentionRnn: (x) => layers.attentionRnn({ units: 3, returnSequences: true })(x, layers.dense({ units: 2 })(x)),
  average: (x) => layers.average()([x, layers.dense({ units: width })(x)]),
  concatenate: (x) => layers.concatenate()([x, x]),
  dense: (x) => layers.dense({ units: 3, activation: "tanh" })(x),
  dropout: (x) => layers.dropout({ rate: 0.3 })(x),
  embedding: (x, ids) => layers.add()([x, layers.embedding({ inputDim: 9, outputDim: width, maskZero: true })(ids)]),
  globalAveragePooling1d: (x) => layers.globalAveragePooling1d()(x),
  globalMaxPooling1d: (x) => layers.globalMaxPooling1d()(x),
  layerNormalization: (x) => layers.layerNormalization()(x),
  lstm: (x) => layers.lstm({ units: 3, returnSequences: true })(x),
  masking: (x) => layers.masking()(x),
  maximum: (x) => layers.maximum()([x, layers.dense({ units: width })(x)]),
  minimum: (x) => layers.minimum()([x, layers.dense({ units: width })(x)]),
  multiply: (x) => layers.multiply()([x, layers.dense({ units: width })(x)]),
  positionalEncoding: (x) => layers.positionalEncoding({ type: "learned", maxLength: steps })(x),
  relativePositionBias: (x) => {
    const attentionBias = layers.relativePositionBias({ numHeads: 2, buckets: 4, maxDistance: 3 })(x);
    return layers.multiHeadAttention({ numHeads: 2, keyDim: 2, useBias: false })(x, x, { attentionBias });
  },
  repeatVector: (x) => layers.repeatVector({ n: 3 })(layers.lstm({ units: 3 })(x)),
  reversibleEmbedding: (x, ids) => {
    const table = layers.reversibleEmbedding({ inputDim: 9, outputDim: width, useBias: true, maskZero: true });
    return table(layers.add()([x, table(ids)]), { reverse: true });
  },
  rmsNormalization: (x) => layers.rmsNormalization()(x),
  softmax: (x) => layers.softmax({ axis: 1 })(x),
  spatialDropout1d: (x) => layers.spatialDropout1d({ rate: 0.3 })(x),
  subtract: (x) => layers.subtract()([x, layers.dense({ units: width })(x)]),
  transformerDecoder: (x) => layers.transformerDecoder({ intermediateDim: 5, numHeads: 2, useBias: false })(x, x),
  transformerEncoder: (x) => layers.transformerEncoder({ intermediateDim: 5, numHeads: 2, useBias: false })(x),
  timeDistributed: (x) => {
    const repeated = layers.timeDistributed(layers.repeatVector({ n: 2 }))(x);
    return layers.timeDistributed(layers.lstm({ units: 3 }))(repeated);
  },
};

const values = (seed: number, shape: number[]) =>
  ndarray(
    formulaValues(
      seed,
      shape.reduce((a, b) => a * b, 1),
      1,
    ),
    shape,
  );

for (const type of Object.keys(layers)) {
  test(`layers.${type}: a step changes every weight by a finite amount`, async (t) => {
    const use = uses[type];
    if (use === undefined) {
      t.log(`not tested: this test has no use of layers.${type}`);
      t.pass();
      return;
    }
    const features = input({ shape: [null, width] });
    const ids = input({ shape: [null], dtype: "int32" });
    const y = use(layers.dense({ units: width, activation: "tanh" })(features), ids);
    const takesIds = type === "embedding" || type === "reversibleEmbedding";
    const reads = takesIds ? [features, ids] : features;
    await using tested = model({ inputs: reads, outputs: layers.dense({ units: classes, activation: "softmax" })(y) });
    tested.compile({ optimizer: optimizers.sgd({ learningRate: 1 }), loss: "sparseCategoricalCrossentropy", seed: 2 });
    await tested.build();
    const before = await tested.getWeights();
    await tested.setWeights(
      before.map(({ data, shape }, index) => ({ data: formulaValues(index, data.length, 1), shape })),
    );
    const set = await tested.getWeights();
    const rows = y.shape.length === 2 ? [batch] : [batch, y.shape[1] ?? steps];
    const count = rows.reduce((a, b) => a * b, 1);
    const data = values(100, [batch, steps, width]);
    const words = ndarray(formulaIntegers(101, batch * steps, 0, 9), [batch, steps]);
    const targets = ndarray(formulaIntegers(102, count, 0, classes), rows);
    const { loss } = await tested.trainOnBatch(takesIds ? [data, words] : data, targets);
    t.true(Number.isFinite(loss));
    const after = await tested.getWeights();
    t.true(after.length > 0);
    for (const [index, { data: changed, shape }] of after.entries()) {
      const differences = changed.map((value, at) => value - set[index]!.data[at]!);
      const what = `weights ${index} [${shape.join(", ")}]`;
      t.true(differences.every(Number.isFinite), `${what} have changed by what is not finite`);
      t.true(
        differences.some((difference) => difference !== 0),
        `${what} have not changed`,
      );
    }
  });
}

test("more padding changes no output", async (t) => {
  const ids = input({ shape: [null], dtype: "int32" });
  const features = input({ shape: [null, width] });
  const words = layers.embedding({ inputDim: 9, outputDim: width, maskZero: true })(ids);
  const x = layers.add()([layers.layerNormalization()(words), layers.masking()(features)]);
  const repeated = layers.timeDistributed(layers.repeatVector({ n: 2 }))(layers.spatialDropout1d({ rate: 0.5 })(x));
  const inner = layers.timeDistributed(layers.lstm({ units: 3 }))(repeated);
  const all = layers.lstm({ units: 3, returnSequences: true, zeroOutputForMask: true })(inner);
  const last = layers.softmax()(layers.globalAveragePooling1d()(all));
  await using tested = model({ inputs: [ids, features], outputs: [last, layers.lstm({ units: 3 })(inner)] });
  await tested.build({ seed: 4 });
  const lengths = [5, 0, 2, 3];
  const outputs = await Promise.all(
    [5, 9].map((length) => {
      const padded = (seed: number, size: number, at: (index: number, seed: number) => number) =>
        lengths.flatMap((count, row) =>
          Array.from({ length: length * size }, (_, index) => (index < count * size ? at(index, seed + row) : 0)),
        );
      const word = (index: number, seed: number) => formulaIntegers(seed, index + 1, 1, 9)[index]!;
      const feature = (index: number, seed: number) => formulaValues(seed, index + 1, 1)[index]!;
      return tested.predict([
        ndarray(Int32Array.from(padded(5, 1, word)), [batch, length]),
        ndarray(Float32Array.from(padded(9, width, feature)), [batch, length, width]),
      ]);
    }),
  );
  const [short, long] = outputs as [(typeof outputs)[number], (typeof outputs)[number]];
  for (const [index, { data, shape }] of short.entries()) {
    t.deepEqual(long[index]!.shape, shape);
    t.true(data.every((value, at) => Number.isFinite(value) && Math.abs(value - long[index]!.data[at]!) < 1e-6));
    t.true(data.some((value) => value !== data[0]));
  }
});
