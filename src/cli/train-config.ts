import { dirname, resolve } from "node:path";
import { type Arguments, listFlag, textFlag } from "./arguments.ts";
import { UsageError } from "./command.ts";
import { type Override, type ResolvedConfig, resolveConfig } from "./config/config.ts";
import { parseValue, readConfigFile } from "./config/file.ts";
import { givenFlags, pairsHelp, parsedFlags, trainFlags } from "./config/flags.ts";
import { valueAt } from "./config/places.ts";

export const trainHelp = `Usage: sconce train [CONFIG] [OPTIONS]

Trains an encoder-decoder, recurrent or a Transformer, on sentence pairs. CONFIG is a file in YAML or JSON; docs/configuration.md
explains all that it may hold. --train and --out are enough without one. The folder of the run gets config.yaml, log.csv, samples.txt and
the models best and last. Ctrl-C saves a checkpoint; the same command resumes there and ends with the same numbers as an uninterrupted run.

Example: sconce train --train train.tsv.gz --valid valid.tsv.gz --target-type character --epochs 10 --out runs/en-zh

  CONFIG                   configuration; flags win, paths are relative to the file
  --train PAIRS            pairs to learn from: tab-separated, CSV, JSON Lines or Parquet
  --train-target FILE      translations of the lines of --train, if they are in a file of their own
  --out DIR                folder of the run; new, or that of an interrupted run
  --valid PAIRS            pairs to validate with after each epoch
  --valid-target FILE      translations of the lines of --valid, if they are in a file of their own
${pairsHelp}  --max-length N           pairs with more tokens on a side are left out, default 100
  --source-type KIND       word, character, bpe, wordPiece or unigram, default word
  --target-type KIND       word, character, bpe, wordPiece or unigram, default word
  --source-vocabulary N    most source tokens, default no limit
  --target-vocabulary N    most target tokens, default no limit
  --minimum-count N        how often a token must occur, default 1
  --joint                  one tokenizer, that of the source, for both sides
  --model TYPE             recurrent or transformer, default recurrent; options of a Transformer are set by --set model.dModel=128 and so on
  --preset NAME            of a Transformer: transformer-tiny, transformer-small or transformer-base
  --cell NAME              lstm, gru or simple, default lstm
  --units N                size of the recurrent layers, default 256
  --layers N               recurrent layers on each side, default 1
  --bidirectional          the encoder reads in both directions
  --embedding N            size of the embeddings, default that of --glove, else 128
  --glove FILE|50d         word vectors for the source, which is put into lower case then
  --dropout P              dropout of the inputs of recurrent layers, default 0
  --optimizer NAME         such as adam, rmsprop or sgd, default adam
  --learning-rate R        default that of the optimiser
  --label-smoothing E      share of each target that is spread over all tokens, default 0
  --epochs N               passes over the pairs, default 10, with --max-updates no limit
  --max-updates N          updates of the weights after which the training ends
  --batch-size N           pairs in a step, default 64
  --batch-tokens N         positions in a step, padding included, instead
  --seed N                 seed of weights, order and dropout, default 0
  --threads N              threads that compute, default all cores
  --save-every N           steps between two checkpoints, default 500
  --keep-models N          models of so many last epochs are kept in models, to be averaged; default 0
  --valid-metrics A,B      of exactMatch and the metrics of sconce score: the pairs of --valid are translated after each epoch
  --monitor NAME           value that the best model has: valLoss (default), valBleu, valChrf, valExactMatch, valAccuracy, loss, accuracy...
  --set PLACE=VALUE        any other place of the configuration, such as --set model.bridge=dense; may be repeated
  --print-config           print the configuration with all that follows from it, and end
  --json                   print nothing but one JSON object at the end
  -h, --help               this text
`;

/** Flags as `parseArgs` takes them. */
export const trainParameters = {
  ...parsedFlags(trainFlags),
  "train-target": { type: "string" },
  "valid-target": { type: "string" },
  glove: { type: "string" },
  set: { type: "string", multiple: true },
} as const;

/**
 * The configuration of a run, from a file and flags; flags win.
 *
 * @throws FileError if the file cannot be read; OptionError naming place or flag if something is wrong; UsageError if a flag is.
 */
export async function trainConfig(args: Arguments): Promise<ResolvedConfig> {
  const [file] = args.positionals;
  const fields = file === undefined ? {} : await readConfigFile(file);
  const overrides: Override[] = givenFlags(args, trainFlags).map(({ name, ...flag }) => ({
    flag: `--${name}`,
    ...flag,
  }));
  for (const side of ["train", "valid"] as const) {
    const target = textFlag(args, `${side}-target`);
    if (target === undefined) continue;
    const path = `data.${side}`;
    const source = textFlag(args, side) ?? besideFile(file, valueAt(fields, path));
    if (source === undefined) throw new UsageError(`--${side} is missing`);
    overrides.push({ flag: `--${side}-target`, path, value: [source, target] });
  }
  const vectors = textFlag(args, "glove");
  if (vectors !== undefined)
    overrides.push({ flag: "--glove", path: "model.sourceEmbeddings", value: `glove:${vectors}` });
  for (const text of listFlag(args, "set")) {
    const [, path, value] = /^([\w.]+)=(.*)$/s.exec(text) ?? [];
    if (path === undefined || value === undefined) {
      throw new UsageError(`--set must be PLACE=VALUE, such as model.units=512, got ${text}`);
    }
    overrides.push({ flag: `--set ${path}`, path, value: parseValue(value) });
  }
  return resolveConfig(file, fields, overrides);
}

/** A path of the configuration as seen from here. */
function besideFile(file: string | undefined, path: unknown): unknown {
  return file === undefined || typeof path !== "string" ? path : resolve(dirname(file), path);
}
