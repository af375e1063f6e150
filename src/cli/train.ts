import { join } from "node:path";
import { stringify } from "yaml";
import {
  backupAndRestore,
  type Callback,
  csvLogger,
  type EarlyStoppingOptions,
  type Evaluation,
  earlyStopping,
  generationSamples,
  type LabelSmoothing,
  modelCheckpoint,
  type ParallelText,
  Seq2Seq,
  type SubwordRegularization,
  type TextMetricName,
} from "../index.ts";
import { checkPositionals, readArguments } from "./arguments.ts";
import type { Command, Streams } from "./command.ts";
import type { ResolvedConfig } from "./config/config.ts";
import { optimizerOf } from "./config/optimizer.ts";
import { generationFile } from "./generation-file.ts";
import { isTextMetric, shownScore } from "./metric-options.ts";
import { readPairs } from "./pairs.ts";
import { KeepModels, SampleFile } from "./run-callbacks.ts";
import { RunFolder } from "./run-folder.ts";
import { type Screen, styled } from "./style.ts";
import { trainConfig, trainHelp, trainParameters } from "./train-config.ts";
import { makeTranslator, trainTokenizers } from "./translator.ts";

export const train: Command = {
  help: trainHelp,
  async run(args: readonly string[], streams: Streams): Promise<number> {
    const parsed = readArguments(args, {
      ...trainParameters,
      "print-config": { type: "boolean" },
      json: { type: "boolean" },
    });
    if (parsed.help) {
      streams.output.write(trainHelp);
      return 0;
    }
    checkPositionals(parsed, ["CONFIG"], 0);
    const config = await trainConfig(parsed);
    if (parsed.values["print-config"] === true) {
      streams.output.write(stringify(config));
      return 0;
    }
    // Before anything is computed: then the number of threads is fixed.
    if (config.training.threads !== undefined) process.env.SCONCE_THREADS = String(config.training.threads);
    const interruption = new AbortController();
    const interrupt = () => {
      if (interruption.signal.aborted) process.exit(1); // The second time it is meant.
      streams.error.write("sconce train: saving a checkpoint, press Ctrl-C again to leave without it\n");
      interruption.abort(new Interruption());
    };
    process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
    const folder = await RunFolder.open(config);
    try {
      await learn(config, folder, parsed.values.json === true, interruption.signal, streams);
      return 0;
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      const saved = (await folder.hasCheckpoint())
        ? `a checkpoint is in ${folder.place("checkpoint")}; run the same command again to resume`
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
  config: ResolvedConfig,
  folder: RunFolder,
  json: boolean,
  signal: AbortSignal,
  { output }: Streams,
): Promise<void> {
  const say = (text: string) => {
    if (!json) output.write(`${text}\n`);
  };
  const started = performance.now();
  const { data, training } = config;
  const pairs = await readPairs(data.train, data, signal);
  const valid = data.valid === undefined ? undefined : await readPairs(data.valid, data, signal);
  const { source, target } = await trainTokenizers(config, pairs, signal);
  await using translator = makeTranslator(config, source, target);
  say(
    `${pairs.length} pairs, ${source.vocabulary.size} source and ${target.vocabulary.size} target tokens, ` +
      `${translator.model.countParams()} parameters`,
  );
  await translator.model.build({ seed: training.seed, signal });
  if (folder.resumed) say(`resuming from ${folder.place("checkpoint")}`);
  else await folder.begin(config);
  const { keep, callbacks } = callbacksOf(config, folder, translator, valid ?? pairs, say, output);
  const { epochs, maxUpdates, stepsPerEpoch } = training;
  const { metrics } = config.validation;
  const some = config.validation.pairs === undefined ? {} : { pairs: config.validation.pairs };
  const { history } = await translator.fit(pairs, {
    ...(epochs === undefined ? {} : { epochs }),
    ...(maxUpdates === undefined ? {} : { maxUpdates }),
    ...(stepsPerEpoch === undefined ? {} : { stepsPerEpoch }),
    ...(training.batchTokens === undefined
      ? { batchSize: training.batchSize! }
      : { batchTokens: training.batchTokens }),
    maxLength: data.maxLength,
    seed: training.seed,
    accumulateSteps: training.accumulateSteps,
    mixedPrecision: training.mixedPrecision ?? false,
    ...(training.subwordRegularization === undefined
      ? {}
      : { subwordRegularization: training.subwordRegularization as SubwordRegularization }),
    optimizer: optimizerOf(training.optimizer, (path) => `training.optimizer${path}`),
    ...(training.labelSmoothing === undefined
      ? {}
      : { labelSmoothing: training.labelSmoothing as NonNullable<typeof training.labelSmoothing> & LabelSmoothing }),
    ...(metrics.length === 0
      ? {}
      : {
          validationMetrics: metrics,
          validationGeneration: { every: config.validation.every, ...config.generation, ...some },
        }),
    ...(valid === undefined ? {} : { validation: valid, validationFreq: config.validation.every }),
    callbacks,
    verbose: json ? "silent" : "auto",
    signal,
  });
  // The best weights may have been put back.
  if (training.earlyStopping?.restoreBestWeights === true) await keep.saveLast();
  const validation = valid === undefined ? undefined : await evaluated(folder.place("best"), valid, config, signal);
  const seconds = (performance.now() - started) / 1000;
  const result = { out: folder.path, seconds, history, validation: validation ?? null };
  await folder.finish(result);
  if (json) {
    output.write(`${JSON.stringify(result)}\n`);
    return;
  }
  if (validation !== undefined) {
    const { loss, perplexity, exactMatch = 0, signatures = {} } = validation;
    const texts = Object.entries(signatures).map(
      ([name, signature]) => `, ${name} ${shownScore(name, validation[name as TextMetricName])} (${signature})`,
    );
    say(
      `validation of the best epoch: loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(2)} per token, ` +
        `exact match ${exactMatch.toFixed(4)}${texts.join("")}`,
    );
  }
  say(`saved in ${folder.path}; try: echo "..." | sconce translate ${folder.path}`);
}

/** Most tokens of a sample: an untrained model repeats itself for ever. */
const longestSample = 60;

function callbacksOf(
  config: ResolvedConfig,
  folder: RunFolder,
  translator: Seq2Seq,
  shown: ParallelText,
  say: (text: string) => void,
  screen: Screen,
): { keep: KeepModels; callbacks: Callback[] } {
  const { training, validation, generation } = config;
  const places = { best: folder.place("best"), last: folder.place("last") };
  const options = { extraFiles: generationFile(generation) };
  const keep = new KeepModels(translator, places, validation.monitor, options);
  const some = shown.sample(validation.samples, training.seed);
  const samples = (print: (line: string) => void) =>
    generationSamples({
      translator,
      sources: some.sources(),
      references: some.targets(),
      maxNewTokens: Math.min(longestSample, generation.maxNewTokens),
      print: (line) => print(`  ${line}`),
    });
  const callbacks: Callback[] = [
    backupAndRestore({ folder: folder.place("checkpoint"), saveFreq: training.saveEvery, deleteCheckpoint: false }),
    csvLogger({ path: folder.place("log") }),
    keep,
    new SampleFile(folder.place("samples"), samples, (line) => say(overBar(screen, styled(screen, "dim", line)))),
  ];
  if (training.keepModels > 0) {
    const kept = { save: (place: string) => translator.save(place, options) };
    const path = join(folder.place("models"), "epoch-{epoch:04d}");
    callbacks.push(modelCheckpoint({ path, maxToKeep: training.keepModels, translator: kept }));
  }
  // What was not given has the default of the callback.
  const stopping = training.earlyStopping as EarlyStoppingOptions | undefined;
  if (stopping !== undefined) callbacks.push(earlyStopping(stopping));
  return { keep, callbacks };
}

/** A line that takes the place of the progress bar of a terminal, which is not finished yet. */
function overBar({ isTTY }: Screen, line: string): string {
  return isTTY === true ? `\r\u001b[2K${line}` : line;
}

/** How good a saved model is. */
async function evaluated(
  place: string,
  pairs: ParallelText,
  { data: { maxLength }, validation, generation }: ResolvedConfig,
  signal: AbortSignal,
): Promise<Evaluation> {
  await using best = await Seq2Seq.load(place);
  const texts = validation.metrics.filter(isTextMetric);
  if (texts.length === 0) return await best.evaluate(pairs, { maxLength, signal });
  const metrics = ["loss", "perplexity", "tokenAccuracy", "exactMatch", ...texts] as const;
  return await best.evaluate(pairs, { maxLength, signal, metrics, generate: generation });
}
