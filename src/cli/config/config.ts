import { basename, dirname, resolve } from "node:path";
import { OptionError } from "../../errors.ts";
import { checkMixedPrecision } from "../../training/mixed-precision.ts";
import { prefixed } from "../../training/names.ts";
import { checkAgainst, type Origin } from "./check.ts";
import { type TransformerConfig, type transformerEntries, transformerOf } from "./model.ts";
import { type OptimizerConfig, optimizerOf } from "./optimizer.ts";
import { type Fields, flattened, isFields, valueAt, withValue } from "./places.ts";
import { type Config, configSchema } from "./schema.ts";

/** A value that a flag puts at a place of a configuration. */
export interface Override {
  /** The flag as it was written, such as `--units`. */
  readonly flag: string;
  readonly path: string;
  readonly value: unknown;
}

/** A checked configuration: all that can be decided before data are read is decided, and paths are absolute. */
export type ResolvedConfig = Omit<Config, "model"> & {
  readonly tokenizers: { readonly source: { readonly lowercase: boolean } };
  readonly model: RecurrentConfig | TransformerConfig;
  readonly training: { readonly optimizer: OptimizerConfig };
  readonly validation: { readonly monitor: string };
};

/** Options of `Seq2Seq.recurrent` as a configuration has them. */
export type RecurrentConfig = Omit<Config["model"], "type" | "tiedEmbeddings" | keyof typeof transformerEntries> & {
  readonly type: "recurrent";
  readonly tiedEmbeddings: boolean;
  readonly embeddingDim: number;
};

/**
 * Checks a configuration and fills it up.
 *
 * @param file - Where it was read from, or nothing; its paths are relative to that folder.
 * @param fields - What it says.
 * @param overrides - What flags say; they win. Their paths are relative to the working folder.
 * @throws OptionError naming the place or the flag.
 */
export function resolveConfig(
  file: string | undefined,
  fields: Fields,
  overrides: readonly Override[],
): ResolvedConfig {
  const flags = new Map<string, string>();
  let merged: unknown = withPaths(fields, file === undefined ? "." : dirname(file));
  for (const { flag, path, value } of overrides) {
    merged = withPaths(withValue(merged, path, value), ".", path);
    flags.set(path, flag);
  }
  const origin: Origin = (path) => {
    const flag = [...flags].find(([place]) => place === path || path.startsWith(`${place}.`))?.[1];
    if (flag !== undefined) return flag;
    const place = path === "" ? "the configuration" : path;
    if (file !== undefined) return `${basename(file)}: ${place}`;
    return required[path] ?? place;
  };
  const config = checkAgainst(configSchema, merged, origin);
  return complete(config, valueAt(merged, "model"), origin);
}

/** What must be given, as flags. */
const required: Readonly<Record<string, string>> = { out: "--out", data: "--train", "data.train": "--train" };

function complete(config: Config, said: unknown, origin: Origin): ResolvedConfig {
  const { tokenizers, model, training, data, validation } = config;
  const size = gloveSize(model.sourceEmbeddings);
  const transformer = transformerOf(model.type, said, tokenizers.joint, origin);
  if (tokenizers.joint && tokenizers.target !== undefined) {
    throw new OptionError(
      `${origin("tokenizers.target")}: with tokenizers.joint both sides have the tokenizer of tokenizers.source: leave target out`,
    );
  }
  if (model.tiedEmbeddings === true && !tokenizers.joint) {
    throw new OptionError(`${origin("model.tiedEmbeddings")} needs tokenizers.joint: true`);
  }
  if (training.batchSize !== undefined && training.batchTokens !== undefined) {
    throw new OptionError(`${origin("training.batchTokens")}: give either training.batchSize or training.batchTokens`);
  }
  if (
    training.earlyStopping !== undefined &&
    data.valid === undefined &&
    training.earlyStopping.monitor === undefined
  ) {
    throw new OptionError(`${origin("training.earlyStopping")} watches valLoss: give data.valid, or monitor: loss`);
  }
  const { metrics, monitor } = validation;
  if (metrics.length > 0 && data.valid === undefined) {
    throw new OptionError(`${origin("validation.metrics")} needs pairs to translate: give data.valid`);
  }
  const translated = metrics.map((name) => prefixed("val", name));
  const known = ["loss", "accuracy", ...(data.valid === undefined ? [] : ["valLoss", "valAccuracy", ...translated])];
  if (monitor !== undefined && !known.includes(monitor)) {
    throw new OptionError(`${origin("validation.monitor")}: ${monitor} is not logged; there are ${known.join(", ")}`);
  }
  const source = { ...tokenizers.source, lowercase: tokenizers.source.lowercase ?? isGlove(model.sourceEmbeddings) };
  const target = tokenizers.joint ? {} : { target: { ...(tokenizers.target ?? { type: "word" as const }) } };
  const optimizer: OptimizerConfig =
    typeof training.optimizer === "string" ? { type: training.optimizer } : training.optimizer;
  for (const [side, { type, chineseWords }] of Object.entries({ source, ...target })) {
    if (chineseWords !== true || type !== "character") continue;
    throw new OptionError(`${origin(`tokenizers.${side}.chineseWords`)}: a tokenizer of type character has no words`);
  }
  checkRegularization(training.subwordRegularization, { source, target: target.target ?? source }, origin);
  // Made to be checked: the training makes its own.
  optimizerOf(optimizer, (path) => origin(`training.optimizer${path}`));
  const { mixedPrecision, ...trained } = training;
  const rounded = checkMixedPrecision(origin("training.mixedPrecision"), mixedPrecision);
  const sized = training.batchSize !== undefined || training.batchTokens !== undefined;
  return {
    ...config,
    tokenizers: { ...tokenizers, ...target, source },
    model: transformer ?? ({ ...model, embeddingDim: model.embeddingDim ?? size ?? 128 } as RecurrentConfig),
    training: {
      ...trained,
      optimizer,
      ...(rounded === false ? {} : { mixedPrecision: rounded }),
      ...(sized ? {} : { batchSize: 64 }),
      ...(training.epochs === undefined && training.maxUpdates === undefined ? { epochs: 10 } : {}),
    },
    validation: { ...validation, monitor: monitor ?? (data.valid === undefined ? "loss" : "valLoss") },
  };
}

/** What tokenizers cut texts at random by. */
const chances: Readonly<Record<string, string>> = { bpe: "dropout", unigram: "alpha" };

function checkRegularization(
  regularization: Config["training"]["subwordRegularization"],
  tokenizers: Readonly<Record<"source" | "target", { readonly type: string }>>,
  origin: Origin,
): void {
  for (const side of ["source", "target"] as const) {
    const chance = regularization?.[side];
    if (chance === undefined) continue;
    const { type } = tokenizers[side];
    const name = chances[type];
    const where = origin(`training.subwordRegularization.${side}`);
    if (name === undefined) {
      throw new OptionError(
        `${where}: a tokenizer of type ${type} cannot cut texts at random, only bpe and unigram can`,
      );
    }
    if (Object.keys(chance).join() !== name)
      throw new OptionError(`${where}: a tokenizer of type ${type} takes ${name}`);
  }
}

function isGlove(embeddings: string | undefined): embeddings is `glove:${string}` {
  return embeddings?.startsWith("glove:") === true;
}

/** The width of vectors as names of GloVe's files tell it. */
function gloveSize(embeddings: string | undefined): number | undefined {
  if (!isGlove(embeddings)) return undefined;
  const size = /(?:^|\.|:)(\d+)d(?:\.|$)/.exec(embeddings)?.[1];
  return size === undefined ? undefined : Number(size);
}

/** Places that hold paths. */
const paths = ["out", "data.train", "data.valid", "model.sourceEmbeddings", "model.targetEmbeddings"];

/** Makes paths absolute, all of them or that at one place. */
function withPaths(fields: unknown, folder: string, only?: string): unknown {
  let result = fields;
  for (const place of paths) {
    if (only !== undefined && only !== place && !only.startsWith(`${place}.`)) continue;
    const value = valueAt(result, place);
    if (value === undefined) continue;
    const absolute = (entry: unknown): unknown =>
      Array.isArray(entry) ? entry.map(absolute) : onePath(entry, folder, place);
    result = withValue(result, place, absolute(value));
  }
  return result;
}

function onePath(value: unknown, folder: string, place: string): unknown {
  if (typeof value !== "string" || value === "") return value;
  if (!place.startsWith("model.")) return resolve(folder, value);
  // `glove:50d` names a size, not a file; other texts name an initialiser.
  const file = /^glove:(?!\d+d$)(.+)$/.exec(value)?.[1];
  return file === undefined ? value : `glove:${resolve(folder, file)}`;
}

/** Options that change nothing that a run has computed so far. */
const free = ["out", "training.saveEvery", "training.threads"];

/** The first place where two configurations say something else that matters to a run, or nothing. */
export function difference(a: unknown, b: unknown): string | undefined {
  const [first, second] = [flattened(a), flattened(b)];
  const places = new Set([...first.keys(), ...second.keys()]);
  return [...places].find(
    (place) => !free.includes(place) && JSON.stringify(first.get(place)) !== JSON.stringify(second.get(place)),
  );
}

/** Whether something is a configuration that was resolved before; it may come from anywhere. */
export function isResolved(value: unknown): value is Fields {
  return isFields(value) && isFields(value.data) && isFields(value.model);
}
