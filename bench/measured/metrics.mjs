// BLEU and chrF of systems through the public API.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { environment, scoreSystems } from "sconce";
import { description, memory, serve } from "./serve.mjs";

let columns;
let systems;

await serve({
  describe: () => description(environment()),

  open({ file, lines }) {
    const text = gunzipSync(readFileSync(file)).toString("utf8");
    const [head, ...rows] = text
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split("\t"));
    const some = lines === null ? rows : rows.slice(0, lines);
    columns = new Map(head.map((name, index) => [name, some.map((row) => row[index])]));
    systems = head.filter((name) => !["src", "refA", "refB"].includes(name));
    return { systems: systems.length, segments: some.length };
  },

  async score({ references }) {
    const streams = references.map((name) => columns.get(name));
    const options = { metrics: ["bleu", "chrf"], bleu: { tokenize: "zh" } };
    const start = performance.now();
    const texts = systems.map((name) => columns.get(name));
    const found = await scoreSystems(texts, streams, options);
    const scores = found.map(({ scores: { bleu, chrf } }) => [bleu.score, chrf.score]);
    return { milliseconds: performance.now() - start, scores, peakMiB: memory().peakMiB };
  },
});
