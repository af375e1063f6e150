// Makes the translator of `decode` from the weights that bench/peers/decode_model.py wrote, and saves it.
import { join } from "node:path";
import { input, layers, model, Seq2Seq, Tokenizer } from "sconce";

const [folder, sizes] = process.argv.slice(2);
const { vocabulary, dimension, feedForward, heads, layers: depth, maxLength } = JSON.parse(sizes);
const words = Array.from({ length: vocabulary - 4 }, (_, index) => `w${String(index + 4).padStart(6, "0")}`);
const tokenizer = await Tokenizer.train([words.join(" ")], { type: "word" });

const [source, target] = [0, 1].map(() => input({ shape: [null], dtype: "int32" }));
const table = layers.reversibleEmbedding({
  name: "table",
  inputDim: vocabulary,
  outputDim: dimension,
  maskZero: true,
  useBias: true,
});
const embedded = (name, tokens) =>
  layers.positionalEncoding({ name, type: "sinusoidal", interleaved: false, maxLength, scale: true })(table(tokens));
const options = {
  intermediateDim: feedForward,
  numHeads: heads,
  activation: "silu",
  normalizeFirst: false,
  layerNormEpsilon: 1e-5,
};
let memory = embedded("encoderPositions", source);
let hidden = embedded("decoderPositions", target);
const numbers = Array.from({ length: depth }, (_, number) => number);
for (const number of numbers) memory = layers.transformerEncoder({ ...options, name: `encoder${number}` })(memory);
for (const number of numbers) {
  hidden = layers.transformerDecoder({ ...options, name: `decoder${number}` })(hidden, memory);
}
const outputs = layers.activation({ activation: "softmax" })(table(hidden, { reverse: true }));
const network = model({ inputs: [source, target], outputs });
await network.loadWeights(join(folder, "weights.safetensors"), { format: "sconce" });
await Seq2Seq.fromModel({ model: network, source: tokenizer, target: tokenizer }).save(join(folder, "sconce"));
