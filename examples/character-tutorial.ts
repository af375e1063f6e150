/**
 * Shows: the tutorial "Character-level recurrent sequence-to-sequence model" of Keras (`lstm_seq2seq`), line by line: English
 * to French with one-hot characters, an LSTM that encodes, an LSTM that decodes with teacher forcing, and separate inference
 * models over the same layers that decode character by character. As there, padding is not masked.
 *
 * Run: npx tsx examples/character-tutorial.ts [--epochs 25] [--samples 10000] [--seed 0] [--json]
 *   --epochs N    passes over the data (the tutorial: 100)
 *   --samples N   sentence pairs from the start of the file, at most 10000
 *   --seed N      seed of weights and order
 *   --json        the last line is a JSON object with the history
 * A run that does not lower the loss to 0.9 of its first value fails. Needs about 2 GB of memory for all pairs.
 *
 * Data: Tatoeba (CC BY 2.0 FR, tatoeba.org), packed by manythings.org/anki; see data/README.md.
 *
 * @see https://keras.io/examples/nlp/lstm_seq2seq/
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { environment, input, layers, type Model, model, ndarray, readParallelText } from "sconce";

const { values: flags } = parseArgs({
  options: {
    epochs: { type: "string", default: "25" },
    samples: { type: "string", default: "10000" },
    seed: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  },
});

// Configuration
const batchSize = 64; // Batch size for training.
const epochs = Number(flags.epochs); // Number of epochs to train for.
const latentDim = 256; // Latent dimensionality of the encoding space.
const numSamples = Number(flags.samples); // Number of samples to train on.
const seed = Number(flags.seed);
const dataPath = fileURLToPath(new URL("../data/tatoeba-en-fr.train-10000.tsv.gz", import.meta.url));

// Prepare the data: "tab" is the start sequence character for the targets, and "\n" the end sequence character.
const pairs = (await readParallelText(dataPath)).slice(0, numSamples);
const inputTexts = pairs.sources();
const targetTexts = pairs.targets().map((text) => `\t${text}\n`);
const inputCharacters = [...new Set(inputTexts.join(""))].sort();
const targetCharacters = [...new Set(targetTexts.join(""))].sort();
if (!inputCharacters.includes(" ")) inputCharacters.unshift(" ");
if (!targetCharacters.includes(" ")) targetCharacters.splice(2, 0, " ");

const numEncoderTokens = inputCharacters.length;
const numDecoderTokens = targetCharacters.length;
const maxEncoderSeqLength = Math.max(...inputTexts.map((text) => [...text].length));
const maxDecoderSeqLength = Math.max(...targetTexts.map((text) => [...text].length));
console.log("Number of samples:", inputTexts.length);
console.log("Number of unique input tokens:", numEncoderTokens);
console.log("Number of unique output tokens:", numDecoderTokens);
console.log("Max sequence length for inputs:", maxEncoderSeqLength);
console.log("Max sequence length for outputs:", maxDecoderSeqLength);

const inputTokenIndex = new Map(inputCharacters.map((character, index) => [character, index]));
const targetTokenIndex = new Map(targetCharacters.map((character, index) => [character, index]));

/** One-hot characters `[texts, length, tokens]`; a text begins at `shift`, and spaces fill the rest. */
function oneHot(texts: readonly string[], tokenIndex: ReadonlyMap<string, number>, length: number, shift = 0) {
  const data = new Float32Array(texts.length * length * tokenIndex.size);
  for (const [i, text] of texts.entries()) {
    const characters = [...text].slice(shift);
    for (let t = 0; t < length; t++) {
      data[(i * length + t) * tokenIndex.size + tokenIndex.get(characters[t] ?? " ")!] = 1;
    }
  }
  return ndarray(data, [texts.length, length, tokenIndex.size]);
}

const encoderInputData = oneHot(inputTexts, inputTokenIndex, maxEncoderSeqLength);
const decoderInputData = oneHot(targetTexts, targetTokenIndex, maxDecoderSeqLength);
// decoderTargetData is ahead by one timestep and does not include the start character.
const decoderTargetData = oneHot(targetTexts, targetTokenIndex, maxDecoderSeqLength, 1);

// Build the model: define an input sequence and process it.
const encoderInputs = input({ shape: [null, numEncoderTokens] });
const encoder = layers.lstm({ units: latentDim, returnState: true });
// We discard the encoder's outputs and only keep the states.
const [, stateH, stateC] = encoder(encoderInputs);

// Set up the decoder, using the encoder's states as initial state.
const decoderInputs = input({ shape: [null, numDecoderTokens] });
// We set up our decoder to return full output sequences, and to return internal states as well. We don't use the
// return states in the training model, but we will use them in inference.
const decoderLstm = layers.lstm({ units: latentDim, returnSequences: true, returnState: true });
const [decoderOutputs] = decoderLstm(decoderInputs, { initialState: [stateH, stateC] });
const decoderDense = layers.dense({ units: numDecoderTokens, activation: "softmax" });
const probabilities = decoderDense(decoderOutputs);

// Define the model that will turn encoderInputData and decoderInputData into decoderTargetData.
const training = model({ inputs: [encoderInputs, decoderInputs], outputs: probabilities });

// Train the model.
training.compile({ optimizer: "rmsprop", loss: "categoricalCrossentropy", metrics: ["accuracy"] });
await training.build({ seed });
const started = performance.now();
const { history } = await training.fit([encoderInputData, decoderInputData], decoderTargetData, {
  batchSize,
  epochs,
  seed,
  validationSplit: 0.2,
  verbose: "lines",
});
const seconds = (performance.now() - started) / 1000;

// Run inference (sampling):
// 1. Encode the input and retrieve the initial decoder state.
// 2. Run one step of the decoder with this initial state and a "start of sequence" token as target. The output is the
//    next target character.
// 3. Repeat with the current target character and current states.
const encoderModel = model({ inputs: encoderInputs, outputs: [stateH, stateC] });

const decoderStateInputH = input({ shape: [latentDim] });
const decoderStateInputC = input({ shape: [latentDim] });
const [inferenceOutputs, nextH, nextC] = decoderLstm(decoderInputs, {
  initialState: [decoderStateInputH, decoderStateInputC],
});
const decoderModel = model({
  inputs: [decoderInputs, decoderStateInputH, decoderStateInputC],
  outputs: [decoderDense(inferenceOutputs), nextH, nextC],
});

/** What a model with several outputs predicts, as float arrays. */
async function predict(predictor: Model, data: Parameters<Model["predict"]>[0]) {
  const outputs = await predictor.predict(data);
  return Array.isArray(outputs) ? outputs : [outputs];
}

async function decodeSequence(text: string): Promise<string> {
  // Encode the input as state vectors.
  let states = await predict(encoderModel, [oneHot([text], inputTokenIndex, maxEncoderSeqLength)]);
  // Generate a target sequence of length 1 with the start character in it.
  let character = "\t";
  let decoded = "";
  // Sampling loop for one sequence.
  while (true) {
    const targetSequence = oneHot([character], targetTokenIndex, 1);
    const [outputTokens, ...next] = await predict(decoderModel, [targetSequence, ...states]);
    // Sample a token: the most probable one.
    const { data } = outputTokens!;
    character = targetCharacters[data.indexOf(Math.max(...data))]!;
    // Exit condition: either hit max length or find the stop character.
    if (character === "\n" || decoded.length > maxDecoderSeqLength) return decoded;
    decoded += character;
    states = next;
  }
}

for (let index = 0; index < Math.min(10, inputTexts.length); index++) {
  // Take one sequence (part of the training set) for trying out decoding.
  console.log("-");
  console.log("Input sentence:", inputTexts[index]);
  console.log("Decoded sentence:", await decodeSequence(inputTexts[index]!));
}

const first = history.loss![0]!;
const last = history.loss!.at(-1)!;
if (epochs > 1 && !(last < 0.9 * first)) {
  console.error(`the loss went from ${first} to ${last}: expected it to fall below 0.9 of its first value`);
  process.exitCode = 1;
}
if (flags.json) console.log(JSON.stringify({ versions: { sconce: environment().version }, seconds, history }));
