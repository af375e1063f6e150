/**
 * Shows: a translator of image captions is trained to the quality that the literature reports, on two CPU cores: joint byte pairs,
 * batches by tokens, warm-up, label smoothing, validation by BLEU, averaged checkpoints. The run can be interrupted with Ctrl-C;
 * the same command goes on where it was and ends with the same numbers.
 *
 * Run: npx tsx examples/multi30k.ts --data DIR; --help lists the options. A recurrent translator that is as good as the first with attention,
 * from German in less than half an hour: --direction de-en --model gru --attention bahdanau, or --model lstm --attention luong.
 * The folder of the run gets log.jsonl, a line after every 500 updates and one with the results, and the average of the last models.
 *
 * Data: Multi30k (Elliott et al. 2016; captions from Flickr30k; for research, not part of this repository). With --quick Tatoeba
 * (CC BY 2.0 FR, tatoeba.org), packed by manythings.org/anki. See data/README.md.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  adam,
  averageCheckpoints,
  backupAndRestore,
  type Callback,
  cosineDecay,
  inverseSqrt,
  linearWarmup,
  modelCheckpoint,
  ParallelText,
  readParallelText,
  Seq2Seq,
  type SeqAttention,
  Tokenizer,
  type TransformerPresetName,
} from "sconce";

const usage = `npx tsx examples/multi30k.ts --data DIR [options]
  --data DIR        folder with multi30k-en-de.{train,val,test_2016_flickr}.tsv.gz, or with the files {train,val,test_2016_flickr}.{en,de}.gz
                    as github.com/multi30k/dataset has them in data/task1/raw
  --direction A-B   en-de (default) or de-en
  --model NAME      transformer-tiny (default) or another preset, or gru or lstm: a recurrent encoder-decoder
  --attention NAME  how gru and lstm look at the source: none (default), bahdanau, luong, or dot
  --updates N       updates of the weights, default 6000, with --attention 3000
  --minutes N       ends training after N minutes, default 90
  --seed N          seed of weights, order and dropout, default 1
  --out DIR         folder of the run, default runs/multi30k-DIRECTION-MODEL-SEED, the attention behind the model
  --quick           a short form for tests, on a few pairs of the data that are part of the repository
  --json            the last line is a JSON object with the results
  --help            shows this`;
const { values: flags } = parseArgs({
  options: {
    data: { type: "string" },
    direction: { type: "string", default: "en-de" },
    model: { type: "string", default: "transformer-tiny" },
    attention: { type: "string", default: "none" },
    updates: { type: "string" },
    minutes: { type: "string", default: "90" },
    seed: { type: "string", default: "1" },
    out: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) {
  console.log(usage);
  process.exit(0);
}
const { quick, direction, model } = flags;
const attention = flags.attention as SeqAttention;
const isRecurrent = model === "gru" || model === "lstm";
if (attention !== "none" && !isRecurrent) {
  console.error("--attention is for --model gru and --model lstm; a Transformer has its own");
  process.exit(2);
}
const seed = Number(flags.seed);
const updates = Number(flags.updates ?? (quick ? 40 : attention === "none" ? 6000 : 3000));
const name = attention === "none" ? model : `${model}-${attention}`;
const out = flags.out ?? `runs/multi30k-${direction}-${name}-${seed}${quick ? "-quick" : ""}`;

// 1. The data.
const parts = ["train", "val", "test_2016_flickr"] as const;

/** Pairs from English to German, or the other way round. */
async function readPart(part: (typeof parts)[number]): Promise<ParallelText> {
  const folder = flags.data ?? ".";
  const joined = join(folder, `multi30k-en-de.${part}.tsv.gz`);
  const sides = ["en", "de"].map((side) => join(folder, `${part}.${side}.gz`)) as [string, string];
  if (!existsSync(joined) && !sides.every(existsSync)) {
    console.error(
      `${folder} has neither multi30k-en-de.${part}.tsv.gz nor ${part}.en.gz and ${part}.de.gz: take them from ` +
        "github.com/multi30k/dataset, data/task1/raw, and name their folder with --data",
    );
    process.exit(2);
  }
  const pairs = await readParallelText(existsSync(joined) ? joined : sides);
  if (direction === "en-de") return pairs;
  return ParallelText.from([...pairs].map(({ source, target }) => ({ source: target, target: source })));
}

/** Three parts of some short pairs. */
async function readFew(): Promise<ParallelText[]> {
  const file = fileURLToPath(new URL("../data/tatoeba-en-fr.train-10000.tsv.gz", import.meta.url));
  const some = [...(await readParallelText(file)).sample(760, seed)];
  return [some.slice(0, 600), some.slice(600, 680), some.slice(680)].map((part) => ParallelText.from(part));
}
const [train, valid, test] = (quick ? await readFew() : await Promise.all(parts.map(readPart))) as [
  ParallelText,
  ParallelText,
  ParallelText,
];

// 2. One vocabulary of byte pairs for both languages, in lower case.
const texts = [...train.sources(), ...train.targets()];
const tokenizer = await Tokenizer.train(texts, {
  type: "bpe",
  vocabularySize: quick ? 500 : 8000,
  lowercase: true,
});
console.log(`${train.length} pairs to learn from, ${valid.length} to validate, ${test.length} to test`);

// 3. The model, and how it is trained.
const both = { source: tokenizer, target: tokenizer };

function transformer(preset: TransformerPresetName) {
  const { fit } = Seq2Seq.preset(preset);
  if (!quick) return { translator: Seq2Seq.transformer({ ...both, preset }), fit };
  const small = { dModel: 32, ffn: 64, encoderLayers: 1, decoderLayers: 1, dropout: 0.1 };
  const optimizer = adam({ learningRate: inverseSqrt({ peak: 0.01, warmup: 10 }) });
  return {
    translator: Seq2Seq.transformer({ ...both, preset, ...small }),
    fit: { ...fit, batchTokens: 600, optimizer },
  };
}

/** Layers that know the source by the encoder's last states alone. */
function recurrent(cell: "gru" | "lstm") {
  const sizes = quick ? { units: 48 } : { units: 256, layers: 2, dropout: 0.3 };
  const schedule = quick ? { peak: 0.01, warmup: 10 } : { peak: 1e-3, warmup: 1000 };
  return {
    translator: Seq2Seq.recurrent({ ...both, cell, bidirectional: true, tiedEmbeddings: true, ...sizes }),
    fit: {
      batchTokens: quick ? 600 : 4096,
      labelSmoothing: 0.1,
      optimizer: adam({ learningRate: inverseSqrt(schedule), globalClipnorm: 1 }),
    },
  };
}

/** A layer on each side. Who can look at the source needs fewer layers and updates, and more dropout. */
function attentive(cell: "gru" | "lstm") {
  const sizes = quick ? { units: 48 } : { units: 256, dropout: 0.3, outputDropout: 0.3 };
  const [peak, warmup] = quick ? [0.01, 10] : [2e-3, 300];
  const after = cosineDecay({ initialLearningRate: peak, decaySteps: Math.max(1, updates - warmup), alpha: 0.02 });
  return {
    translator: Seq2Seq.recurrent({ ...both, cell, attention, bidirectional: true, tiedEmbeddings: true, ...sizes }),
    fit: {
      batchTokens: quick ? 600 : 2048,
      labelSmoothing: 0.1,
      optimizer: adam({ learningRate: linearWarmup({ peak, warmup, after }), globalClipnorm: 1 }),
    },
  };
}

function chosen() {
  if (!isRecurrent) return transformer(model as TransformerPresetName);
  return attention === "none" ? recurrent(model) : attentive(model);
}
const { translator, fit } = chosen();
console.log(`${translator.model.countParams()} parameters, ${tokenizer.vocabulary.size} tokens`);

// 4. The log, and the limit of time: both go on when a run is resumed.
const started = performance.now();
const log: string[] = [];
let before = { seconds: 0, updates: 0 };
let done = 0;
const secondsSoFar = () => before.seconds + (performance.now() - started) / 1000;
async function logged(entry: object): Promise<void> {
  log.push(JSON.stringify(entry));
  await writeFile(join(out, "log.jsonl"), `${log.join("\n")}\n`);
}
const progress: Callback = {
  onBatchEnd(_step, _logs, model) {
    done += 1;
    if (secondsSoFar() > 60 * Number(flags.minutes)) model.stopTraining = true;
  },
  async onEpochEnd(_epoch, logs) {
    await logged({ updates: done, seconds: Math.round(secondsSoFar()), ...logs });
  },
  getState: () => ({ values: { log: [...log], seconds: secondsSoFar(), updates: done } }),
  setState({ values }) {
    const saved = values as { log: string[]; seconds: number; updates: number };
    log.splice(0, log.length, ...saved.log);
    before = saved;
    done = saved.updates;
  },
};

// 5. Training. Ctrl-C saves a checkpoint.
const interruption = new AbortController();
// npx and tsx hand the signal on, so that it may come several times.
process.on("SIGINT", () => interruption.abort(new Error("interrupted: the same command goes on from here")));
await mkdir(out, { recursive: true });
const models = join(out, "models");
const generate = { maxNewTokens: 80, batchSize: 64 };
/** Sequences of the beam search that the test set is translated with besides. */
const beams = 5;
try {
  await translator.fit(train, {
    ...fit,
    maxUpdates: updates,
    stepsPerEpoch: quick ? 20 : 500,
    validation: valid,
    validationMetrics: ["bleu"],
    validationGeneration: { ...generate, bleu: { lowercase: true } },
    seed,
    signal: interruption.signal,
    callbacks: [
      backupAndRestore({ folder: join(out, "checkpoint"), saveFreq: 200 }),
      modelCheckpoint({ path: join(models, "{epoch:04d}"), maxToKeep: 5, translator }),
      progress,
    ],
  });
} catch (error) {
  if (error !== interruption.signal.reason) throw error;
  console.error(`\n${(error as Error).message}`);
  process.exit(1);
}
const seconds = secondsSoFar();

// 6. The mean of the last models, and what it is worth on sentences that nobody has looked at.
const folders = (await readdir(models)).sort().map((name) => join(models, name));
await using averaged = await averageCheckpoints(folders);
await averaged.save(join(out, "average"));
const scoring = { metrics: ["bleu", "chrf"] as const, bleu: { lowercase: true }, chrf: { lowercase: true } };
const scoresOf = async (own: Seq2Seq, numBeams: number) =>
  own.evaluate(test, { ...scoring, generate: { ...generate, numBeams } });
const [last, mean, lastBeams, meanBeams] = [
  await scoresOf(translator, 1),
  await scoresOf(averaged, 1),
  await scoresOf(translator, beams),
  await scoresOf(averaged, beams),
];
const results = {
  direction,
  model,
  attention,
  seed,
  updates: done,
  seconds: Math.round(seconds),
  last: { bleu: last.bleu, chrf: last.chrf, loss: last.loss, beams: { bleu: lastBeams.bleu, chrf: lastBeams.chrf } },
  averaged: {
    bleu: mean.bleu,
    chrf: mean.chrf,
    loss: mean.loss,
    models: folders.length,
    beams: { bleu: meanBeams.bleu, chrf: meanBeams.chrf },
  },
  numBeams: beams,
  signature: mean.signatures?.bleu,
  chrfSignature: mean.signatures?.chrf,
};
await logged({ results });
console.log(`\n${done} updates in ${(seconds / 60).toFixed(1)} minutes; BLEU (${results.signature}) and`);
console.log(`chrF (${results.chrfSignature}) of the test set:`);
const shownScores = ({ bleu, chrf }: typeof last) => `${bleu?.toFixed(2)}, ${chrf?.toFixed(2)}`;
console.log(`                             greedy        ${beams} beams`);
console.log(`  last model                 ${shownScores(last)}  ${shownScores(lastBeams)}`);
console.log(`  mean of the last ${folders.length} models  ${shownScores(mean)}  ${shownScores(meanBeams)}`);
const shown = test.sample(3, seed);
const translations = await averaged.generate(shown.sources(), generate);
for (const [index, { source, target }] of [...shown].entries()) {
  console.log(`  ${source}\n    translation  ${translations[index]!.text}\n    reference    ${target}`);
}
if (flags.json) console.log(JSON.stringify(results));
