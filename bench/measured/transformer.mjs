import { adam, adamw, input, layers, losses, metrics, model, schedules } from "sconce";

/** The compiled encoder-decoder Transformer of a case (bench/transformer-cases.ts); its weights come in the order of `weightShapes`. */
export function transformer(described) {
  const { sourceVocabulary, targetVocabulary, dimension, heads, feedForward, normalizeFirst, epsilon, masked } =
    described;
  const { dropout, attentionDropout, innerDropout, interleaved, encoderLayers, decoderLayers } = described;
  const dropped = (rate) => (rate === 0 ? (x) => x : layers.dropout({ rate }));
  const norm = () => layers.layerNormalization({ epsilon });
  const embedded = (ids, inputDim) => {
    const table = layers.embedding({ inputDim, outputDim: dimension, maskZero: masked });
    return dropped(dropout)(layers.positionalEncoding({ scale: true, interleaved })(table(ids)));
  };
  const residual = (x, part) => {
    if (normalizeFirst) return layers.add()([x, dropped(dropout)(part(norm()(x)))]);
    return norm()(layers.add()([x, dropped(dropout)(part(x))]));
  };
  const attention = () =>
    layers.multiHeadAttention({ numHeads: heads, keyDim: dimension / heads, dropout: attentionDropout });
  const feed = (x) => {
    const hidden = layers.dense({ units: feedForward, activation: "relu" })(x);
    return layers.dense({ units: dimension })(dropped(innerDropout)(hidden));
  };
  const final = (x) => (normalizeFirst ? norm()(x) : x);

  const [source, target] = [0, 1].map(() => input({ shape: [null], dtype: "int32" }));
  let memory = embedded(source, sourceVocabulary);
  for (let layer = 0; layer < encoderLayers; layer++) {
    memory = residual(memory, (x) => attention()(x, x));
    memory = residual(memory, feed);
  }
  memory = final(memory);
  let x = embedded(target, targetVocabulary);
  for (let layer = 0; layer < decoderLayers; layer++) {
    x = residual(x, (y) => attention()(y, y, { useCausalMask: true }));
    x = residual(x, (y) => attention()(y, memory));
    x = residual(x, feed);
  }
  const outputs = layers.dense({ units: targetVocabulary, activation: "softmax" })(final(x));
  const translator = model({ inputs: [source, target], outputs });
  translator.compile({
    optimizer: optimizerOf(described.optimizer),
    loss: losses.categoricalCrossentropy({ labelSmoothing: described.labelSmoothing }),
    metrics: described.metrics ? [metrics.sparseCategoricalCrossentropy({ name: "nll" })] : [],
  });
  return translator;
}

function optimizerOf({ learningRate, warmup, beta1, beta2, epsilon, weightDecay }) {
  const rate = warmup === undefined ? learningRate : schedules.inverseSqrt({ peak: learningRate, warmup });
  const options = { learningRate: rate, beta1, beta2, epsilon };
  return weightDecay === 0 ? adam(options) : adamw({ ...options, weightDecay });
}
