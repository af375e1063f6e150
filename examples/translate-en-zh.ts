/**
 * Shows: the textbook encoder-decoder, written with the functional API, learns to translate English to Chinese: words with
 * pre-trained GloVe vectors go into an LSTM, its last states begin another LSTM that writes characters. `Seq2Seq` turns
 * sentence pairs into padded batches and translates with the model; padding is masked.
 *
 * Run: npm run demo, or npx tsx examples/translate-en-zh.ts, with
 *   --epochs N     passes over the 22,446 pairs, default 10
 *   --steps N      ends after N steps: a short form for tests
 *   --seconds N    ends training after N seconds, default 290
 *   --draw N       seed that draws the ten sentences shown at the end, default another one each time
 *   --json         the last line is a JSON object with the results
 * A run that does not lower the held-out loss to 0.8 of that of the untrained model fails.
 *
 * Data: Tatoeba (CC BY 2.0 FR, tatoeba.org), packed by manythings.org/anki; GloVe 6B (PDDL). See data/README.md.
 */
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { glove, input, layers, model, readParallelText, Seq2Seq, Tokenizer } from "sconce";

const { values: flags } = parseArgs({
  options: {
    epochs: { type: "string", default: "10" },
    steps: { type: "string" },
    seconds: { type: "string", default: process.env.SCONCE_DEMO_SECONDS ?? "290" },
    draw: { type: "string", default: String(randomInt(1_000_000)) },
    json: { type: "boolean", default: false },
  },
});
const data = (name: string) => fileURLToPath(new URL(`../data/${name}`, import.meta.url));

// 1. The data. English is cut into words in lower case, as GloVe's are; Chinese into characters.
const train = await readParallelText(data("tatoeba-en-zh.train.tsv.gz"));
const valid = await readParallelText(data("tatoeba-en-zh.valid.tsv.gz"));
const test = await readParallelText(data("tatoeba-en-zh.test.tsv.gz"));
const english = await Tokenizer.train(train.sources(), { type: "word", lowercase: true, vocabularySize: 8000 });
const chinese = await Tokenizer.train(train.targets(), { type: "character" });
console.log(`${train.length} pairs to learn from, ${valid.length} held out, ${test.length} to try out`);
console.log(`${english.vocabulary.size} English words, ${chinese.vocabulary.size} Chinese characters`);

// 2. The encoder reads English. Id 0 is padding, which maskZero hides from everything behind it.
const encoderInputs = input({ shape: [null], dtype: "int32" });
const words = layers.embedding({
  inputDim: english.vocabulary.size,
  outputDim: 50,
  embeddingsInitializer: glove({ path: [data("glove.6B.50d.top9k.txt.gz"), data("glove.6B.50d.extra.txt.gz")] }),
  vocabulary: english.vocabulary,
  maskZero: true,
});
const [, stateH, stateC] = layers.lstm({ units: 256, returnState: true })(words(encoderInputs));

// 3. The decoder begins with the encoder's last states and gives, at each position, a probability for each character.
const decoderInputs = input({ shape: [null], dtype: "int32" });
const characters = layers.embedding({ inputDim: chinese.vocabulary.size, outputDim: 50, maskZero: true });
const decoder = layers.lstm({ units: 256, returnSequences: true });
const decoderOutputs = decoder(characters(decoderInputs), { initialState: [stateH, stateC] });
const probabilities = layers.dense({ units: chinese.vocabulary.size, activation: "softmax" })(decoderOutputs);

const network = model({ inputs: [encoderInputs, decoderInputs], outputs: probabilities });
network.compile({ optimizer: "adam", loss: "categoricalCrossentropy", metrics: ["accuracy"] });
network.summary();
const translator = Seq2Seq.fromModel({ model: network, source: english, target: chinese });
await network.build();
const { found, notFound } = await words.coverage();
console.log(`GloVe has vectors for ${found.length} of ${found.length + notFound.length} words`);

// 4. What a model would lose that knew how often each character occurs, and nothing else.
function unigramLoss(): number {
  const counts = new Float64Array(chinese.vocabulary.size).fill(1); // No character gets probability 0.
  const ids = (text: string) => chinese.encode(text, { addEnd: true });
  for (const text of train.targets()) for (const id of ids(text)) counts[id]! += 1;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const losses = valid.targets().flatMap((text) => Array.from(ids(text), (id) => -Math.log(counts[id]! / total)));
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}
const baseline = unigramLoss();
const untrained = await translator.evaluate(valid, { metrics: ["loss"] });

// 5. Training. Batches have pairs of similar length, in an order that the seed decides.
let updates = 0;
const started = performance.now();
const secondsSoFar = () => (performance.now() - started) / 1000;
const stop = {
  onBatchEnd(_step: number, _logs: unknown, trained: { stopTraining: boolean }) {
    updates += 1;
    if (updates === Number(flags.steps) || secondsSoFar() > Number(flags.seconds)) trained.stopTraining = true;
  },
};
const { history } = await translator.fit(train, {
  batchSize: 64,
  epochs: Number(flags.epochs),
  validation: valid,
  seed: 1,
  callbacks: [stop],
});
const seconds = secondsSoFar();
const trained = await translator.evaluate(valid, { metrics: ["loss"] });
console.log(`\n${updates} steps in ${seconds.toFixed(0)} s. Loss per character on held-out pairs, the end included:`);
console.log(`  untrained model  ${untrained.loss.toFixed(4)}`);
console.log(`  unigram baseline ${baseline.toFixed(4)}`);
console.log(`  trained model    ${trained.loss.toFixed(4)}, perplexity ${trained.perplexity.toFixed(1)}`);

// 6. Ten sentences that the model has never seen.
const drawn = test.sample(10, Number(flags.draw));
const translations = await translator.generate(drawn.sources(), { maxNewTokens: 60 });
console.log(`\nTen sentences of the test set, drawn by seed ${flags.draw}:`);
for (const [index, { source, target }] of [...drawn].entries()) {
  console.log(`  ${source}\n    translation  ${translations[index]!.text}\n    reference    ${target}`);
}

if (!(trained.loss < 0.8 * untrained.loss)) {
  console.error(`the held-out loss went from ${untrained.loss} to ${trained.loss}: expected less than 0.8 of it`);
  process.exitCode = 1;
}
if (flags.json) {
  const losses = { untrained: untrained.loss, baseline, trained: trained.loss };
  console.log(JSON.stringify({ updates, seconds, draw: Number(flags.draw), losses, evaluation: trained, history }));
}
