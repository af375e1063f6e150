import { adam, adamw, glove, input, layers, model, rmsprop, Seq2Seq, sgd, type Tokenizer } from "../index.ts";
import type { TrainOptions } from "./train-options.ts";

const optimizers = { adam, adamw, rmsprop, sgd };

/** The textbook encoder-decoder: an LSTM reads the source, and its last states begin an LSTM that writes the target. */
export function textbook(options: TrainOptions, source: Tokenizer, target: Tokenizer): Seq2Seq {
  const { units, embedding: outputDim, dropout, optimizer, learningRate } = options;
  const vectors = options.glove === undefined ? {} : { embeddingsInitializer: glove({ path: options.glove }) };

  const encoderInputs = input({ shape: [null], dtype: "int32", name: "source" });
  const sourceEmbedding = layers.embedding({
    name: "sourceEmbedding",
    inputDim: source.vocabulary.size,
    outputDim,
    maskZero: true,
    vocabulary: source.vocabulary,
    ...vectors,
  });
  const encoder = layers.lstm({ name: "encoder", units, dropout, returnState: true });
  const [, h, c] = encoder(sourceEmbedding(encoderInputs));

  const decoderInputs = input({ shape: [null], dtype: "int32", name: "target" });
  const targetEmbedding = layers.embedding({
    name: "targetEmbedding",
    inputDim: target.vocabulary.size,
    outputDim,
    maskZero: true,
  });
  const decoder = layers.lstm({ name: "decoder", units, dropout, returnSequences: true });
  const states = decoder(targetEmbedding(decoderInputs), { initialState: [h, c] });
  const probabilities = layers.dense({ name: "probabilities", units: target.vocabulary.size, activation: "softmax" });

  const translator = model({
    inputs: [encoderInputs, decoderInputs],
    outputs: probabilities(states),
    name: "translator",
  });
  translator.compile({
    optimizer: optimizers[optimizer](learningRate === undefined ? {} : { learningRate }),
    loss: "categoricalCrossentropy",
    metrics: ["accuracy", "perplexity"],
    seed: options.seed,
  });
  return Seq2Seq.fromModel({ model: translator, source, target });
}
