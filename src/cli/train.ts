import {
  backupAndRestore,
  type Callback,
  type Evaluation,
  generationSamples,
  type ParallelText,
  type Seq2Seq,
  Tokenizer,
} from "../index.ts";
import { checkPositionals, readArguments } from "./arguments.ts";
import type { Command, Streams } from "./command.ts";
import { pairsHelp, readPairs } from "./pairs.ts";
import { textbook } from "./textbook.ts";
import { type TrainOptions, trainFlags, trainOptions } from "./train-options.ts";
import { TrainingFolder } from "./training-folder.ts";

const help = `Usage: sconce train [CONFIG.json] --train PAIRS --out DIR [OPTIONS]

Trains the textbook LSTM encoder-decoder on sentence pairs and saves it in DIR. Ctrl-C saves a checkpoint; the same
command resumes there and ends with the same numbers as an uninterrupted run.

  CONFIG.json              an object with the options below in camelCase; flags win, paths are relative to the file
  --train PAIRS            pairs to learn from: tab-separated, CSV or JSON Lines; plain or gzip
  --train-target FILE      translations of the lines of --train, if they are in a file of their own
  --out DIR                folder for the model; new, or that of an interrupted run
  --valid PAIRS            pairs to validate with after each epoch
  --valid-target FILE      translations of the lines of --valid, if they are in a file of their own
${pairsHelp}  --epochs N               passes over the pairs, default 10
  --batch-size N           pairs in a step, default 64
  --units N                size of the LSTMs, default 256
  --embedding N            size of the embeddings, default that of --glove, else 128
  --dropout P              dropout of the LSTMs' inputs, default 0
  --glove FILE|50d         word vectors for the source, which is put into lower case then
  --optimizer NAME         rmsprop, adam, adamw or sgd, default adam
  --learning-rate R        default that of the optimiser
  --source-type KIND       word or character, default word
  --target-type KIND       word or character, default word
  --source-vocabulary N    most source tokens, default no limit
  --target-vocabulary N    most target tokens, default no limit
  --minimum-count N        how often a token must occur, default 1
  --max-length N           pairs with more tokens on a side are left out, default 100
  --seed N                 seed of weights and order, default 0
  --save-every N           steps between two checkpoints, default 500
  --json                   print nothing but one JSON object at the end
  -h, --help               this text
`;

export const train: Command = {
  help,
  async run(args: readonly string[], streams: Streams): Promise<number> {
    const parsed = readArguments(args, { ...trainFlags, json: { type: "boolean" } });
    if (parsed.help) {
      streams.output.write(help);
      return 0;
    }
    checkPositionals(parsed, ["CONFIG.json"], 0);
    const options = await trainOptions(parsed);
    const interruption = new AbortController();
    const interrupt = () => {
      if (interruption.signal.aborted) process.exit(1); // The second time it is meant.
      streams.error.write("sconce train: saving a checkpoint, press Ctrl-C again to leave without it\n");
      interruption.abort(new Interruption());
    };
    process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
    const folder = await TrainingFolder.open(options);
    try {
      await learn(options, folder, parsed.values.json === true, interruption.signal, streams);
      return 0;
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      const saved = (await folder.hasCheckpoint())
        ? `a checkpoint is in ${folder.checkpoint}; run the same command again to resume`
        : "there was nothing to save yet; run the same command again";
      streams.error.write(`sconce train: interrupted: ${saved}\n`);
      return 1;
    } finally {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    }
  },
};

/** Why training was ended early. */
class Interruption extends Error {}

async function learn(
  options: TrainOptions,
  folder: TrainingFolder,
  json: boolean,
  signal: AbortSignal,
  { output }: Streams,
): Promise<void> {
  const say = (text: string) => {
    if (!json) output.write(`${text}\n`);
  };
  const started = performance.now();
  const read = (path: string, target: string | undefined) => readPairs("train", path, target, options, signal);
  const pairs = await read(options.train, options.trainTarget);
  const valid = options.valid === undefined ? undefined : await read(options.valid, options.validTarget);
  const tokenizer = (lines: readonly string[], side: "source" | "target") => {
    const vocabularySize = options[`${side}Vocabulary`];
    return Tokenizer.train(lines, {
      type: options[`${side}Type`],
      minimumCount: options.minimumCount,
      lowercase: side === "source" && options.glove !== undefined,
      ...(vocabularySize === undefined ? {} : { vocabularySize }),
      signal,
    });
  };
  const source = await tokenizer(pairs.sources(), "source");
  const target = await tokenizer(pairs.targets(), "target");
  await using translator = textbook(options, source, target);
  say(
    `${pairs.length} pairs, ${source.vocabulary.size} source and ${target.vocabulary.size} target tokens, ` +
      `${translator.model.countParams()} parameters`,
  );
  await translator.model.build({ seed: options.seed, signal });
  if (folder.resumed) {
    say(`resuming from ${folder.checkpoint}`);
  } else {
    // What is saved at the end replaces this folder, which a folder of a model may do.
    await translator.save(folder.path, { extraFiles: TrainingFolder.markOf(options) });
  }
  const callbacks: Callback[] = [
    backupAndRestore({ folder: folder.checkpoint, saveFreq: options.saveEvery, deleteCheckpoint: false }),
    samples(translator, (valid ?? pairs).sample(json ? 0 : 2, options.seed), say),
  ];
  const { history } = await translator.fit(pairs, {
    epochs: options.epochs,
    batchSize: options.batchSize,
    maxLength: options.maxLength,
    seed: options.seed,
    ...(valid === undefined ? {} : { validation: valid }),
    callbacks,
    verbose: json ? "silent" : "auto",
    signal,
  });
  const { maxLength } = options;
  const validation: Evaluation | undefined =
    valid === undefined ? undefined : await translator.evaluate(valid, { maxLength, signal });
  await translator.save(folder.path);
  if (json) {
    const seconds = (performance.now() - started) / 1000;
    output.write(`${JSON.stringify({ out: folder.path, seconds, history, validation: validation ?? null })}\n`);
    return;
  }
  if (validation !== undefined) {
    say(`validation: loss ${validation.loss.toFixed(4)}, perplexity ${validation.perplexity.toFixed(2)} per token`);
  }
  say(`saved in ${folder.path}; try: echo "..." | sconce translate ${folder.path}`);
}

/** Shows translations after each epoch. */
function samples(translator: Seq2Seq, pairs: ParallelText, say: (text: string) => void): Callback {
  return generationSamples({
    translator,
    sources: pairs.sources(),
    references: pairs.targets(),
    maxNewTokens: 60,
    print: (line) => say(`  ${line}`),
  });
}
