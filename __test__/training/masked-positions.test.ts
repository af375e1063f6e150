/** Positions that a mask leaves out are not computed between embeddings and loss: nothing that can be seen changes by that. */
import test from "ava";
import { input, layers, losses, type Model, metrics, model, ndarray, sgd } from "../../src/index.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

const vocabulary = 17;
const [rows, steps, written] = [8, 10, 7];

/** Ids with padding before, behind and within sequences, one of which is nothing else; `first` says which. */
function ids(seed: number, length: number, first: number) {
  const data = formulaIntegers(seed, rows * length, 1, vocabulary);
  const holes = formulaIntegers(seed + 1, rows * length, 0, 3);
  for (let row = 0; row < rows; row++) {
    const kind = (row + first) % rows;
    const [own, hole] = [data, holes].map((all) => all.subarray(row * length, (row + 1) * length)) as [
      Int32Array,
      Int32Array,
    ];
    if (kind === 0) own.fill(0, length - 4);
    if (kind === 1) own.fill(0, 0, 3);
    if (kind === 2) own.fill(0);
    if (kind === 3 || kind === 4) own.set(own.map((id, step) => (hole[step] === 0 ? 0 : id)));
  }
  return ndarray(data, [rows, length]);
}

const [source, target] = [ids(3, steps, 0), ids(5, written, 3)];
const goal = ndarray(formulaIntegers(7, rows * written, 0, vocabulary), [rows, written]);
const nothing = ndarray(new Float32Array(rows * steps * 8), [rows, steps, 8]);

/** A Transformer that gives what it read, too: `seen` measures that, and the likeliest words, so that all rows are needed. */
async function trained(seen: boolean, normalizeFirst: boolean) {
  const [read, begun] = [steps, written].map((length) => input({ shape: [length], dtype: "int32" }));
  const table = layers.reversibleEmbedding({ inputDim: vocabulary, outputDim: 8, maskZero: true });
  const options = { intermediateDim: 12, numHeads: 2, dropout: 0.1, attentionDropout: 0.1, normalizeFirst };
  let memory = layers.dropout({ rate: 0.1 })(layers.positionalEncoding({ scale: true })(table(read!)));
  for (let layer = 0; layer < 2; layer++) memory = layers.transformerEncoder(options)(memory);
  let x = layers.positionalEncoding({ type: "learned", maxLength: written })(table(begun!));
  for (let layer = 0; layer < 2; layer++) x = layers.transformerDecoder(options)(x, memory);
  const words = layers.activation({ activation: "softmax" })(table(x, { reverse: true }));
  const translator = model({ inputs: [read!, begun!], outputs: [words, memory] });
  await translator.build({ seed: 3 });
  const start = await translator.getWeights();
  await translator.setWeights(start.map(({ shape, data }, at) => ndarray(formulaValues(at, data.length, 0.3), shape)));
  const topK = metrics.sparseTopKCategoricalAccuracy({ k: 3 });
  translator.compile({
    optimizer: sgd({ learningRate: 0.3 }),
    loss: [losses.categoricalCrossentropy({ labelSmoothing: 0.1 }), null],
    metrics: [seen ? [topK] : [], seen ? [metrics.meanSquaredError()] : []],
  });
  const targets = seen ? [goal, nothing] : [goal];
  const found: number[] = [];
  for (let update = 0; update < 4; update++) {
    found.push((await translator.trainOnBatch([source, target], targets)).loss);
  }
  found.push((await translator.testOnBatch([source, target], targets)).loss);
  return { found, translator };
}

async function largestDifference(one: Model, other: Model): Promise<number> {
  const values = async (of: Model) => (await of.getWeights()).flatMap((weight) => [...weight.data]);
  const others = await values(other);
  return (await values(one)).reduce((largest, value, at) => Math.max(largest, Math.abs(value - others[at]!)), 0);
}

for (const normalizeFirst of [false, true]) {
  test(`masked positions make no difference, normalizeFirst ${normalizeFirst}`, async (t) => {
    const [some, all] = [await trained(false, normalizeFirst), await trained(true, normalizeFirst)];
    for (const [at, loss] of some.found.entries()) {
      t.true(Math.abs(loss - all.found[at]!) < 1e-5 * loss, `loss ${at}: ${loss}, ${all.found[at]}`);
    }
    t.true(some.found[3]! < some.found[0]!);
    t.true((await largestDifference(some.translator, all.translator)) < 1e-5);
    // What the model gives is whole.
    const [words, memory] = await some.translator.predict([source, target]);
    t.deepEqual(words!.shape, [rows, written, vocabulary]);
    t.true([...words!.data, ...memory!.data].every(Number.isFinite));
    const sums = new Float64Array(rows * written);
    for (const [at, share] of words!.data.entries()) sums[Math.floor(at / vocabulary)]! += share;
    t.true(sums.every((sum) => Math.abs(sum - 1) < 1e-5));
  });
}
