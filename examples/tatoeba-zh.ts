/**
 * Shows: two translators from English to Chinese are trained for the same time and compared by BLEU, with a paired bootstrap that says
 * whether the difference is real. Each has words on one side and characters on the other, as the demo has.
 *
 * Run: npx tsx examples/tatoeba-zh.ts, with
 *   --models A,B   the two models, of lstm (default the first), transformer-small (default the second) and gru
 *   --minutes N    minutes of training for each, default 15
 *   --seed N       seed of weights, order and dropout, default 1
 *   --quick        a short form for tests: few pairs, 30 updates each
 *   --json         the last line is a JSON object with the results
 *
 * Data: Tatoeba (CC BY 2.0 FR, tatoeba.org), packed by manythings.org/anki. See data/README.md.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { adam, inverseSqrt, pairedBootstrap, readParallelText, Seq2Seq, Tokenizer } from "sconce";

const { values: flags } = parseArgs({
  options: {
    models: { type: "string", default: "lstm,transformer-small" },
    minutes: { type: "string", default: "15" },
    seed: { type: "string", default: "1" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const { quick } = flags;
const seed = Number(flags.seed);
const [baseline, system] = flags.models.split(",") as [string, string];

// 1. The data.
const data = (part: string) =>
  readParallelText(fileURLToPath(new URL(`../data/tatoeba-en-zh.${part}.tsv.gz`, import.meta.url)));
const [allTrain, allValid, allTest] = [await data("train"), await data("valid"), await data("test")];
const some = (pairs: typeof allTrain, count: number) => (quick ? pairs.sample(count, seed) : pairs);
const [train, valid, test] = [some(allTrain, 800), some(allValid, 50), some(allTest, 60)];
const english = await Tokenizer.train(train.sources(), { type: "word", lowercase: true, vocabularySize: 8000 });
const chinese = await Tokenizer.train(train.targets(), { type: "character" });

// 2. The models.
const sizes = quick ? { units: 32 } : { units: 256, dropout: 0.2 };
const makers: Readonly<Record<string, () => Seq2Seq>> = {
  lstm: () => Seq2Seq.recurrent({ source: english, target: chinese, cell: "lstm", ...sizes }),
  "transformer-small": () =>
    Seq2Seq.transformer({
      source: english,
      target: chinese,
      preset: "transformer-small",
      ...(quick ? { dModel: 32, ffn: 64, encoderLayers: 1, decoderLayers: 1 } : {}),
    }),
  gru: () => Seq2Seq.recurrent({ source: english, target: chinese, cell: "gru", bidirectional: true, ...sizes }),
};

/** A Transformer needs a warm-up, here a short one: there are few updates. */
function warmedUp() {
  const schedule = quick ? { peak: 0.01, warmup: 10 } : { peak: 1e-3, warmup: 1000 };
  return adam({ learningRate: inverseSqrt(schedule), beta2: 0.98, epsilon: 1e-9 });
}

/** Sequences of the beam search that the test set is translated with besides. */
const numBeams = 5;

// 3. Each is trained until its time is over; the weights that translated best are kept.
async function translationsOf(name: string): Promise<{ greedy: string[]; beams: string[] }> {
  const make = makers[name];
  if (make === undefined) throw new Error(`--models: ${name} is none of ${Object.keys(makers).join(", ")}`);
  await using translator = make();
  console.log(`${name}: ${translator.model.countParams()} parameters`);
  const started = performance.now();
  const best = { bleu: Number.NEGATIVE_INFINITY, weights: await built(translator) };
  await translator.fit(train, {
    batchTokens: quick ? 500 : 2048,
    ...(quick ? { maxUpdates: 30 } : { epochs: 1000 }),
    validation: valid,
    validationMetrics: ["bleu"],
    validationGeneration: { maxNewTokens: 50 },
    optimizer: name.startsWith("transformer") ? warmedUp() : adam({ globalClipnorm: 1 }),
    labelSmoothing: 0.1,
    seed,
    callbacks: [
      {
        onBatchEnd(_step, _logs, model) {
          if (performance.now() - started > 60_000 * Number(flags.minutes)) model.stopTraining = true;
        },
        async onEpochEnd(_epoch, logs) {
          if (logs.valBleu! <= best.bleu) return;
          best.bleu = logs.valBleu!;
          best.weights = await translator.model.getWeights();
        },
      },
    ],
  });
  await translator.model.setWeights(best.weights);
  const translate = async (numBeams: number) => {
    const made = await translator.generate(test.sources(), { maxNewTokens: 50, numBeams });
    return made.map(({ text }) => text);
  };
  return { greedy: await translate(1), beams: await translate(numBeams) };
}

async function built({ model }: Seq2Seq) {
  await model.build({ seed });
  return model.getWeights();
}
const first = await translationsOf(baseline);
const second = await translationsOf(system);

// 4. The difference on sentences that neither has seen.
const compared = (kind: "greedy" | "beams", metric: "bleu" | "chrf") =>
  pairedBootstrap(first[kind], second[kind], test.targets(), {
    seed,
    metric,
    ...(metric === "bleu" ? { tokenize: "zh" as const } : {}),
  });
const comparison = compared("greedy", "bleu");
const others = {
  chrf: compared("greedy", "chrf"),
  beams: { numBeams, bleu: compared("beams", "bleu"), chrf: compared("beams", "chrf") },
};
for (const [metric, { difference, interval, pValue, signature, ...scores }] of [
  ["BLEU", comparison],
  ["chrF", others.chrf],
  [`${numBeams} beams, BLEU`, others.beams.bleu],
  [`${numBeams} beams, chrF`, others.beams.chrf],
] as const) {
  console.log(`\n${metric} of ${test.length} sentences (${signature}):`);
  console.log(`  ${baseline}  ${scores.baseline.score.toFixed(2)} ± ${scores.baseline.ci.toFixed(2)}`);
  console.log(`  ${system}  ${scores.system.score.toFixed(2)} ± ${scores.system.ci.toFixed(2)}`);
  const bounds = interval.map((bound) => bound.toFixed(2)).join(" to ");
  console.log(`  difference ${difference.toFixed(2)}, 95 % of the samples from ${bounds}, p = ${pValue.toFixed(3)}`);
}
if (flags.json) console.log(JSON.stringify({ models: [baseline, system], seed, ...comparison, ...others }));
