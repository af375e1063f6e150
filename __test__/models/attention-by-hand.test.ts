/** The attention of the Keras tutorials, written by hand with `ops`: it trains, is saved and loaded, and decodes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import {
  adam,
  defineLayer,
  GraphError,
  input,
  layers,
  loadModel,
  model,
  ops,
  Seq2Seq,
  type SymbolicTensor,
  weight,
} from "../../src/index.ts";

/** Scores of queries against keys; what is padding gets none. */
function shares(scores: SymbolicTensor, padding: SymbolicTensor | undefined): SymbolicTensor {
  return ops.softmax(padding === undefined ? scores : ops.where(ops.expandDims(padding, 1), scores, -1e9));
}

const bahdanau = defineLayer({
  name: "bahdanau",
  options: { units: 24 },
  build: ([query, keys], { units }) => ({
    queryKernel: weight([query!.at(-1)!, units]),
    keyKernel: weight([keys!.at(-1)!, units]),
    score: weight([units], { initializer: "uniform" }),
  }),
  call([query, keys]: readonly SymbolicTensor[], { queryKernel, keyKernel, score }, { mask }) {
    const q = ops.expandDims(ops.matmul(query!, queryKernel), 2);
    const k = ops.expandDims(ops.matmul(keys!, keyKernel), 1);
    return ops.matmul(shares(ops.matmul(ops.tanh(ops.add(q, k)), score), mask[1]), keys!);
  },
  computeMask: (_, [queries]) => queries,
});

const luong = defineLayer({
  name: "luong",
  build: ([query, keys]) => ({ general: weight([query!.at(-1)!, keys!.at(-1)!]) }),
  call([query, keys]: readonly SymbolicTensor[], { general }, { mask }) {
    const scores = layers.dot({ axes: [2, 2] })([ops.matmul(query!, general), keys!]);
    return ops.matmul(shares(scores, mask[1]), keys!);
  },
  computeMask: (_, [queries]) => queries,
});

/** Two heads over the source: their axis stands before that of time meanwhile. */
const heads = defineLayer({
  name: "heads",
  call([query, keys]: readonly SymbolicTensor[]) {
    const parted = (x: SymbolicTensor) => {
      const [batch, time] = ops.shape(x) as [ops.Size, ops.Size];
      return ops.transpose(ops.reshape(x, [batch, time, 2, 16]), [0, 2, 1, 3]);
    };
    const k = parted(keys!);
    const scores = ops.divide(ops.matmul(parted(query!), ops.transpose(k, [0, 1, 3, 2])), 4);
    const mixed = ops.transpose(ops.matmul(ops.softmax(scores), k), [0, 2, 1, 3]);
    const [batch, time] = ops.shape(query!) as [ops.Size, ops.Size];
    return ops.reshape(mixed, [batch, time, 32]);
  },
});

const words: [string, string][] = Array.from({ length: 32 }, (_, index) => {
  const word = ((index * 2654435761) % 4 ** 5).toString(4).replace(/\d/g, (digit) => "abcd"[Number(digit)]!);
  return [word, [...word].reverse().join("")];
});

const trained = Tokenizer.train(words.flat(), { type: "character" });

for (const attend of [bahdanau, luong]) {
  const name = attend().type;
  test(`${name} by hand overfits, is saved and loaded, and translates step by step`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sconce-attention-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const tokenizer = await trained;
    const size = tokenizer.vocabulary.size;
    const source = input({ shape: [null], dtype: "int32", name: "source" });
    const target = input({ shape: [null], dtype: "int32", name: "target" });
    const embedded = (ids: SymbolicTensor) => layers.embedding({ inputDim: size, outputDim: 16, maskZero: true })(ids);
    const [keys, h, c] = layers.lstm({ units: 32, returnSequences: true, returnState: true })(embedded(source));
    const queries = layers.lstm({ units: 32, returnSequences: true })(embedded(target), { initialState: [h, c] });
    const context = attend()([queries, keys]);
    t.true(context.masked);
    const probabilities = layers.dense({ units: size, activation: "softmax" })(
      layers.dense({ units: 32, activation: "tanh" })(layers.concatenate()([queries, context])),
    );
    const whole = model({ inputs: [source, target], outputs: probabilities });
    const translator = Seq2Seq.fromModel({ model: whole, source: tokenizer, target: tokenizer });
    const options = {
      verbose: "silent",
      batchSize: 16,
      seed: 3,
      epochs: 150,
      optimizer: adam({ learningRate: 0.01 }),
    } as const;
    const { history } = await translator.fit(words, options);
    t.true(history.loss!.at(-1)! < 0.1 * history.loss![0]!, `${history.loss![0]} to ${history.loss!.at(-1)}`);
    const generated = await translator.generate(words.map(([word]) => word));
    const right = generated.filter(({ text }, index) => text === words[index]![1]).length;
    t.true(right >= 28, `${right} of 32`);

    await whole.save(join(folder, "model"));
    await using loaded = await loadModel(join(folder, "model"));
    const again = Seq2Seq.fromModel({ model: loaded, source: tokenizer, target: tokenizer });
    const translated = await again.generate(words.slice(0, 8).map(([word]) => word));
    t.deepEqual(
      translated.map(({ text }) => text),
      generated.slice(0, 8).map(({ text }) => text),
    );
  });
}

test("attention whose heads stand before time decodes, attention of the decoder to itself does not", async (t) => {
  const tokenizer = await trained;
  const size = tokenizer.vocabulary.size;
  const source = input({ shape: [null], dtype: "int32", name: "source" });
  const target = input({ shape: [null], dtype: "int32", name: "target" });
  const embedded = (ids: SymbolicTensor) => layers.embedding({ inputDim: size, outputDim: 32 })(ids);
  const [keys, queries] = [embedded(source), embedded(target)];
  const made = (context: SymbolicTensor) => {
    const outputs = layers.dense({ units: size, activation: "softmax" })(context);
    return Seq2Seq.fromModel({
      model: model({ inputs: [source, target], outputs }),
      source: tokenizer,
      target: tokenizer,
    });
  };
  const cross = made(ops.add(queries, heads()([queries, keys])));
  await cross.fit(words, { verbose: "silent", batchSize: 16, epochs: 1 });
  t.is((await cross.generate(["abc", "d"])).length, 2);
  t.throws(() => made(ops.add(heads()([queries, queries]), heads()([queries, keys]))), {
    instanceOf: GraphError,
    message: /layer ops\.matmul\d* cannot decode: it mixes the steps/,
  });
});
