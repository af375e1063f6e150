/** Translators with decoders other than an LSTM. */
import test from "ava";
import { Tokenizer } from "../../../src/data/tokenizer.ts";
import { adam, GraphError, input, layers, model, Seq2Seq, type SymbolicTensor } from "../../../src/index.ts";

/** Words of other lengths, each written backwards. */
const pairs: [string, string][] = Array.from({ length: 96 }, (_, index) => {
  const word = ((index * 2654435761) % 4 ** 5).toString(4).replace(/\d/g, (digit) => "abcd"[Number(digit)]!);
  return [word, [...word].reverse().join("")];
});
const training = Tokenizer.train(pairs.flat(), { type: "character" });
const texts = ["ab", "", "abcda", "c", "dddd", "badc"];

/** From the features of both sides to the decoder's outputs. */
type Middle = (source: SymbolicTensor, target: SymbolicTensor) => SymbolicTensor;

async function wrap(middle: Middle): Promise<Seq2Seq> {
  const tokenizer = await training;
  const { size } = tokenizer.vocabulary;
  const side = (name: string): [SymbolicTensor, SymbolicTensor] => {
    const data = input({ shape: [null], dtype: "int32", name });
    return [data, layers.embedding({ inputDim: size, outputDim: 12, maskZero: true })(data)];
  };
  const [source, sourceFeatures] = side("source");
  const [target, targetFeatures] = side("target");
  const probabilities = layers.dense({ units: size, activation: "softmax" })(middle(sourceFeatures, targetFeatures));
  return Seq2Seq.fromModel({
    model: model({ inputs: [source, target], outputs: probabilities }),
    source: tokenizer,
    target: tokenizer,
  });
}

const units = 24;
const all = { units, returnSequences: true } as const;

const decoders: Record<string, Middle> = {
  gru: (source, target) => {
    const [, h] = layers.gru({ units, returnState: true })(source);
    return layers.gru(all)(target, { initialState: [h] });
  },
  "gru with the reset gate before the product": (source, target) => {
    const [, h] = layers.gru({ units, returnState: true, resetAfter: false })(source);
    return layers.gru({ ...all, resetAfter: false })(target, { initialState: [h] });
  },
  simpleRnn: (source, target) => {
    const [, h] = layers.simpleRnn({ units, returnState: true })(source);
    return layers.simpleRnn(all)(target, { initialState: [h] });
  },
  "stacked, with a bidirectional encoder and dropout": (source, target) => {
    const encoder = layers.bidirectional({ layer: layers.lstm({ units: 12, returnState: true, dropout: 0.1 }) });
    const [, forwardH, forwardC, backwardH, backwardC] = encoder(source);
    const join = layers.concatenate();
    const h = join([forwardH, backwardH]);
    const c = join([forwardC, backwardC]);
    const first = layers.lstm({ ...all, dropout: 0.1 })(target, { initialState: [h, c] });
    const second = layers.gru({ ...all, recurrentDropout: 0.1 })(first, { initialState: [h] });
    return layers.simpleRnn(all)(second, { initialState: [c] });
  },
};

for (const [name, middle] of Object.entries(decoders)) {
  test(`${name}: learns, and translates the same whole and step by step`, async (t) => {
    await using translator = await wrap(middle);
    const options = {
      verbose: "silent",
      batchSize: 16,
      seed: 3,
      epochs: 8,
      optimizer: adam({ learningRate: 0.01 }),
    } as const;
    const { history } = await translator.fit(pairs, options);
    t.true(history.loss!.at(-1)! < 0.8 * history.loss![0]!);
    const results = await translator.generate(texts, { maxNewTokens: 8 });
    t.true(new Set(results.map(({ text }) => text)).size >= 3);
    const recomputed = await translator.generate(texts, { maxNewTokens: 8, recompute: true });
    for (const [index, { text, score }] of results.entries()) {
      t.is(recomputed[index]!.text, text);
      t.true(Math.abs(recomputed[index]!.score - score) < 1e-4);
      t.deepEqual((await translator.generate([texts[index]!], { maxNewTokens: 8 }))[0], results[index]);
    }
  });
}

test("a bidirectional decoder is refused by its name", async (t) => {
  const middle: Middle = (source, target) => {
    const [, h] = layers.gru({ units, returnState: true })(source);
    const decoder = layers.bidirectional({ layer: layers.gru(all), mergeMode: "sum", name: "looksAhead" });
    return decoder(target, { initialState: [h, h] });
  };
  await t.throwsAsync(wrap(middle), {
    instanceOf: GraphError,
    message: /layer looksAhead cannot decode: .*both directions/,
  });
});
