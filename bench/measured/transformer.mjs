import { adam, adamw, input, layers, losses, metrics, model, schedules } from "sconce";

/** The compiled encoder-decoder Transformer of a case (bench/transformer-cases.ts). */
export function transformer(described) {
  const { dimension, dropout, epsilon, interleaved, masked: maskZero, normalizeFirst, tied } = described;
  const { sourceVocabulary, targetVocabulary } = described;
  const layerOptions = {
    intermediateDim: described.feedForward,
    numHeads: described.heads,
    dropout,
    attentionDropout: described.attentionDropout,
    activationDropout: described.activationDropout,
    layerNormEpsilon: epsilon,
    normalizeFirst,
  };
  const placed = (x) => {
    const positioned = layers.positionalEncoding({ scale: true, interleaved })(x);
    return dropout === 0 ? positioned : layers.dropout({ rate: dropout })(positioned);
  };
  const finished = (x, name) => (normalizeFirst ? layers.layerNormalization({ name, epsilon })(x) : x);
  const table = (name, inputDim) => ({ name, inputDim, outputDim: dimension, maskZero });
  const targetTable = tied
    ? layers.reversibleEmbedding(table("target", targetVocabulary))
    : layers.embedding(table("target", targetVocabulary));

  const [source, target] = [0, 1].map(() => input({ shape: [null], dtype: "int32" }));
  let memory = placed(layers.embedding(table("source", sourceVocabulary))(source));
  for (let layer = 0; layer < described.encoderLayers; layer++) {
    memory = layers.transformerEncoder({ ...layerOptions, name: `encoder${layer}` })(memory);
  }
  memory = finished(memory, "encoderNorm");
  let x = placed(targetTable(target));
  for (let layer = 0; layer < described.decoderLayers; layer++) {
    x = layers.transformerDecoder({ ...layerOptions, name: `decoder${layer}` })(x, memory);
  }
  x = finished(x, "decoderNorm");
  const activation = "softmax";
  const outputs = tied
    ? layers.activation({ activation })(targetTable(x, { reverse: true }))
    : layers.dense({ name: "output", units: targetVocabulary, activation })(x);
  const translator = model({ inputs: [source, target], outputs });
  translator.compile({
    optimizer: optimizerOf(described.optimizer),
    loss: losses.categoricalCrossentropy({ labelSmoothing: described.labelSmoothing }),
    metrics: described.metrics ? [metrics.sparseCategoricalCrossentropy({ name: "nll" })] : [],
    mixedPrecision: described.mixedPrecision ?? false,
  });
  return translator;
}

function optimizerOf({ learningRate, warmup, beta1, beta2, epsilon, weightDecay }) {
  const rate = warmup === undefined ? learningRate : schedules.inverseSqrt({ peak: learningRate, warmup });
  const options = { learningRate: rate, beta1, beta2, epsilon };
  return weightDecay === 0 ? adam(options) : adamw({ ...options, weightDecay });
}
