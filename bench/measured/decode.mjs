// Our side of `decode`: translation through the public API. Argument: how the weights are kept.
import { join } from "node:path";
import { environment, Seq2Seq } from "sconce";
import { description, memory, serve } from "./serve.mjs";

const [dtype] = process.argv.slice(2);
let translator;

const word = (number) => `w${String(number).padStart(6, "0")}`;

await serve({
  describe: () => ({ ...description(environment()), idleMiB: memory().residentMiB }),

  async open({ folder }) {
    translator = await Seq2Seq.load(join(folder, "sconce"), dtype === "float32" ? {} : { dtype });
    return { computeType: dtype };
  },

  async run({ batches, beams, length }) {
    const milliseconds = [];
    const ids = [];
    for (const sources of batches) {
      const start = performance.now();
      const texts = sources.map((source) => source.map(word).join(" "));
      const found = await translator.generate(texts, {
        numBeams: beams,
        minNewTokens: length,
        maxNewTokens: length,
      });
      milliseconds.push(performance.now() - start);
      ids.push(...found.map(({ tokens }) => tokens.map((token) => translator.target.vocabulary.id(token))));
    }
    return { milliseconds, ids };
  },

  memory: () => ({ peakMiB: memory().peakMiB }),
});
