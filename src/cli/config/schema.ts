import * as v from "valibot";
import { textMetricNames, type ValidationMetric } from "../../index.ts";
import { couple, flag, integer, isText, number, oneOf, rate, text } from "./kinds.ts";
import { tied, transformerEntries } from "./model.ts";

/** How files of pairs are read; what is left out follows from names and `readParallelText`. */
export const pairEntries = {
  format: v.optional(oneOf(["tsv", "csv", "jsonl", "parquet"])),
  columns: v.optional(
    couple<string | number>(
      "columns (numbers from 0, or names)",
      (value) => isText(value) || (Number.isSafeInteger(value) && (value as number) >= 0),
    ),
  ),
  header: v.optional(flag()),
  keys: v.optional(couple<string>("keys", isText)),
  emptySides: v.optional(oneOf(["skip", "error"])),
};

/** A file with both sides, or two files. */
const pairs = v.custom<string | [source: string, target: string]>(
  (value) => isText(value) || (Array.isArray(value) && value.length === 2 && value.every(isText)),
  "a file, or a list of two files, for source and target",
);

const data = v.strictObject({
  train: pairs,
  valid: v.optional(pairs),
  ...pairEntries,
  maxLength: v.optional(integer(1), 100),
});

const tokenizer = v.strictObject({
  type: v.optional(oneOf(["word", "character", "bpe", "wordPiece", "unigram"]), "word"),
  vocabularySize: v.optional(integer(5)),
  lowercase: v.optional(flag()),
  chineseWords: v.optional(flag()),
});

const tokenizers = v.strictObject({
  joint: v.optional(flag(), false),
  minimumCount: v.optional(integer(1), 1),
  source: v.optional(tokenizer, {}),
  target: v.optional(tokenizer),
});

const model = v.strictObject({
  type: v.optional(oneOf(["recurrent", "transformer"]), "recurrent"),
  cell: v.optional(oneOf(["lstm", "gru", "simple"]), "lstm"),
  units: v.optional(integer(1), 256),
  layers: v.optional(integer(1), 1),
  bidirectional: v.optional(flag(), false),
  encoderUnits: v.optional(integer(1)),
  bridge: v.optional(oneOf(["lastState", "dense"])),
  attention: v.optional(oneOf(["none", "dot", "luong", "bahdanau"]), "none"),
  inputFeeding: v.optional(oneOf(["lastLayer", "firstLayer"])),
  embeddingDim: v.optional(integer(1)),
  tiedEmbeddings: v.optional(tied(), false),
  sourceEmbeddings: v.optional(text("the name of an initialiser, or glove:FILE")),
  targetEmbeddings: v.optional(text("the name of an initialiser, or glove:FILE")),
  dropout: v.optional(rate(), 0),
  recurrentDropout: v.optional(rate(), 0),
  ...transformerEntries,
});

/** What else a schedule or an optimiser takes is checked by itself. */
const learningRate = v.union(
  [number(0), v.looseObject({ type: text("the name of a schedule") })],
  "a number of at least 0, or an object with the type of a schedule and its options",
);

const optimizer = v.union(
  [text(), v.looseObject({ type: v.optional(text(), "adam"), learningRate: v.optional(learningRate) })],
  "the name of an optimiser, or an object with its type, learningRate and options",
);

const earlyStopping = v.strictObject({
  monitor: v.optional(text()),
  patience: v.optional(integer(0)),
  minDelta: v.optional(number(0)),
  mode: v.optional(oneOf(["auto", "min", "max"])),
  baseline: v.optional(number(Number.NEGATIVE_INFINITY)),
  restoreBestWeights: v.optional(flag()),
  startFromEpoch: v.optional(integer(0)),
});

const labelSmoothing = v.union(
  [
    number(0, 1),
    v.strictObject({
      value: number(0, 1),
      definition: v.optional(oneOf(["keras", "fairseq", "joeynmt"])),
      padding: v.optional(integer(0)),
    }),
  ],
  "a number from 0 to 1, or an object with value and definition (keras, fairseq or joeynmt)",
);

/** As the option of `fit`; whether this machine has it is checked with the rest. */
const mixedPrecision = v.custom<false | "bfloat16">(
  (value) => value === false || value === "bfloat16",
  "false or bfloat16",
);

/** Which of both a tokenizer takes is checked with its type. */
const regularization = v.strictObject({ dropout: v.optional(number(0, 1)), alpha: v.optional(number(0)) });

const training = v.strictObject({
  optimizer: v.optional(optimizer, "adam"),
  labelSmoothing: v.optional(labelSmoothing),
  epochs: v.optional(integer(1)),
  maxUpdates: v.optional(integer(1)),
  stepsPerEpoch: v.optional(integer(1)),
  batchSize: v.optional(integer(1)),
  batchTokens: v.optional(integer(1)),
  accumulateSteps: v.optional(integer(1), 1),
  mixedPrecision: v.optional(mixedPrecision),
  subwordRegularization: v.optional(
    v.strictObject({ source: v.optional(regularization), target: v.optional(regularization) }),
  ),
  earlyStopping: v.optional(earlyStopping),
  seed: v.optional(integer(0), 0),
  threads: v.optional(integer(1)),
  saveEvery: v.optional(integer(1), 500),
  keepModels: v.optional(integer(0), 0),
});

const validationNames: readonly unknown[] = [...textMetricNames, "exactMatch"];

const validation = v.strictObject({
  every: v.optional(integer(1), 1),
  samples: v.optional(integer(0), 2),
  metrics: v.optional(
    v.custom<ValidationMetric[]>(
      (value) => Array.isArray(value) && value.every((name) => validationNames.includes(name)),
      `a list of ${validationNames.join(", ")}`,
    ),
    [],
  ),
  pairs: v.optional(integer(1)),
  monitor: v.optional(text("the name of a logged value, such as valLoss or valBleu")),
});

/** How texts are generated unless flags say otherwise. */
export const generationSchema = v.strictObject({
  maxNewTokens: v.optional(integer(1), 128),
  batchSize: v.optional(integer(1), 32),
  numBeams: v.optional(integer(1), 1),
  lengthPenalty: v.optional(number(-10, 10), 1),
});

/** What a configuration of `sconce train` holds. */
export const configSchema = v.strictObject({
  data,
  out: text("the folder of the run"),
  tokenizers: v.optional(tokenizers, {}),
  model: v.optional(model, {}),
  training: v.optional(training, {}),
  validation: v.optional(validation, {}),
  generation: v.optional(generationSchema, {}),
});

/** A configuration of `sconce train`, with the defaults that depend on nothing else. */
export type Config = v.InferOutput<typeof configSchema>;

/** How files of pairs are read, as a configuration says it. */
export type PairOptions = Pick<Config["data"], keyof typeof pairEntries>;

/** How texts are generated. */
export type GenerationConfig = v.InferOutput<typeof generationSchema>;

/** The keys of an object's schema, as paths; those of optimisers and schedules are not among them. */
export function schemaPaths(schema: unknown = configSchema, prefix = ""): string[] {
  const { entries, wrapped, type } = schema as { entries?: object; wrapped?: unknown; type: string };
  if (wrapped !== undefined) return schemaPaths(wrapped, prefix);
  if (type !== "strict_object" || entries === undefined) return [prefix];
  return Object.entries(entries).flatMap(([key, entry]) =>
    schemaPaths(entry, prefix === "" ? key : `${prefix}.${key}`),
  );
}
