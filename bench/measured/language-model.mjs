// Our side of `language-model`, and the text as ids for the peer: words between spaces, each line with an end token.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { environment, LanguageModel, sgd, Tokenizer } from "sconce";
import { description, memory, serve } from "./serve.mjs";

const specials = ["<pad>", "<unk>", "<s>", "</s>"];
let writer;
let tokenizer;
let texts;
let settings;
let best;

const wordsOf = (line) => line.split(/\p{White_Space}+/u).filter((word) => word !== "");

/** A tokenizer whose tokens are the words of all lines. */
async function wordTokenizer(lines) {
  const words = new Set([...specials, ...lines.flatMap(wordsOf)]);
  const vocab = Object.fromEntries([...words].map((word, id) => [word, id]));
  const marks = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const added_tokens = specials.map((content, id) => ({ id, content, ...marks }));
  const document = {
    version: "1.0",
    added_tokens,
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab, unk_token: "<unk>" },
  };
  const folder = mkdtempSync(join(tmpdir(), "sconce-words-"));
  try {
    const path = join(folder, "tokenizer.json");
    writeFileSync(path, JSON.stringify(document));
    return await Tokenizer.load(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Lines of a file, up to so many tokens. */
function linesOf(file, limit) {
  const lines = gunzipSync(readFileSync(file)).toString("utf8").replace(/\n$/u, "").split("\n");
  if (limit === null) return lines;
  let tokens = 0;
  const kept = lines.findIndex((line) => {
    tokens += wordsOf(line).length + 1;
    return tokens > limit;
  });
  return kept === -1 ? lines : lines.slice(0, Math.max(1, kept));
}

/** Parts of the texts that are judged side by side, as the peer's. */
const judgedRows = 10;

const judged = (lines) => writer.evaluate(lines, { contextLength: settings.window, batchSize: judgedRows });

await serve({
  describe: () => description(environment()),

  /** Reads the files and writes their ids one behind the other. */
  async prepare({ files, tokens, idsFile }) {
    texts = Object.fromEntries(Object.entries(files).map(([part, file]) => [part, linesOf(file, tokens)]));
    tokenizer = await wordTokenizer(Object.values(texts).flat());
    const places = {};
    const parts = [];
    let offset = 0;
    for (const [part, lines] of Object.entries(texts)) {
      const { ids } = await tokenizer.encodeBatch(lines, { addEnd: true });
      places[part] = { shape: [ids.length], offset };
      offset += ids.byteLength;
      parts.push(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
    }
    writeFileSync(idsFile, Buffer.concat(parts));
    return { vocabulary: tokenizer.vocabulary.size, texts: places };
  },

  open(request) {
    const { units, layers, dropout } = request;
    settings = request;
    writer = LanguageModel.recurrent({ tokenizer, units, layers, dropout, stateful: true });
    return {};
  },

  async epoch({ learningRate, epoch }) {
    const { rows, window, clip, seed } = settings;
    const start = performance.now();
    const { history } = await writer.fit(texts.training, {
      contextLength: window,
      batchSize: rows,
      optimizer: sgd({ learningRate, globalClipnorm: clip }),
      seed: seed + epoch,
      verbose: "silent",
    });
    const seconds = (performance.now() - start) / 1000;
    const { loss } = await judged(texts.validation);
    return { loss: history.loss.at(-1), seconds, validationLoss: loss };
  },

  async keep() {
    best = await writer.model.getWeights();
    return {};
  },

  async test() {
    await writer.model.setWeights(best);
    const { loss } = await judged(texts.test);
    return { loss, peakMiB: memory().peakMiB };
  },
});
