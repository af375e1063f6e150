/**
 * Shows: a language model of decoder layers learns how English sentences go on, word piece by word piece, and then goes on with
 * some itself. `LanguageModel` cuts texts into blocks, measures perplexity and writes.
 *
 * Run: npx tsx examples/language-model.ts, with
 *   --epochs N     passes over the sentences, default 10
 *   --samples N    sentences to learn from, default all 22,446
 *   --recurrent    LSTM layers instead of a Transformer, whose states go on from block to block
 *   --json         the last line is a JSON object with the results
 *
 * Data: Tatoeba (CC BY 2.0 FR, tatoeba.org), packed by manythings.org/anki. See data/README.md.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { adam, LanguageModel, readParallelText, schedules, Tokenizer } from "sconce";

const { values: flags } = parseArgs({
  options: {
    epochs: { type: "string", default: "10" },
    samples: { type: "string", default: "22446" },
    recurrent: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const data = (name: string) => fileURLToPath(new URL(`../data/${name}`, import.meta.url));

// 1. The data: English sentences, cut into frequent pieces of words.
const train = (await readParallelText(data("tatoeba-en-zh.train.tsv.gz"))).slice(0, Number(flags.samples)).sources();
const valid = (await readParallelText(data("tatoeba-en-zh.valid.tsv.gz"))).sources();
const tokenizer = await Tokenizer.train(train, { type: "bpe", vocabularySize: 2000 });
console.log(`${train.length} sentences to learn from, ${valid.length} held out, ${tokenizer.vocabulary.size} tokens`);

// 2. The model. The table of embeddings also scores the next tokens.
await using writer = flags.recurrent
  ? LanguageModel.recurrent({ tokenizer, units: 128, tiedEmbeddings: true, stateful: true })
  : LanguageModel.transformer({ tokenizer, dModel: 128, heads: 4, ffn: 256, layers: 3, dropout: 0.1 });

// 3. Training. Each token of a block is learnt from those before it.
const learningRate = schedules.inverseSqrt({ peak: 3e-3, warmup: 100 });
const blocks = { contextLength: 32, batchSize: 16 };
const { history } = await writer.fit(train, {
  ...blocks,
  epochs: Number(flags.epochs),
  validation: valid,
  optimizer: adam({ learningRate }),
});
const { perplexity, tokens } = await writer.evaluate(valid, blocks);
console.log(`perplexity of the ${tokens} tokens that were held out: ${perplexity.toFixed(1)}`);

// 4. What it makes of beginnings.
const prompts = ["I want to", "She is", "Where", "Tom"];
const results = await writer.generate(prompts, { maxNewTokens: 20 });
for (const [index, { text }] of results.entries()) console.log(`${prompts[index]} ...${text}`);
if (flags.json) console.log(JSON.stringify({ history, perplexity, texts: results.map(({ text }) => text) }));
