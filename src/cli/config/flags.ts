import type { Arguments } from "../arguments.ts";

/** How the text of a flag is read. What does not fit stays text, so that the check can show it. */
export type FlagKind = "text" | "number" | "boolean" | "couple" | "list";

/** A flag and the place of the configuration that it sets. */
export interface ConfigFlag {
  readonly kind: FlagKind;
  readonly path: string;
}

const at = (kind: FlagKind, path: string): ConfigFlag => ({ kind, path });

/** Flags on how files of pairs are read, the same for all commands; paths are within `data`. */
export const pairFlags: Readonly<Record<string, ConfigFlag>> = {
  format: at("text", "format"),
  columns: at("couple", "columns"),
  keys: at("couple", "keys"),
};

/** The lines of a help text on {@link pairFlags}. */
export const pairsHelp = `  --format NAME            tsv, csv, jsonl or parquet, default by the end of the name (.csv, .jsonl, .ndjson, .parquet), else tsv
  --columns A,B            columns of source and target in a table: numbers from 0, or names in its header; default 0,1
  --keys A,B               keys of source and target in JSON Lines, such as translation.en; default source,target
`;

/** Flags of `sconce train` that each set one place of the configuration. */
export const trainFlags: Readonly<Record<string, ConfigFlag>> = {
  out: at("text", "out"),
  train: at("text", "data.train"),
  valid: at("text", "data.valid"),
  ...Object.fromEntries(Object.entries(pairFlags).map(([name, { kind, path }]) => [name, at(kind, `data.${path}`)])),
  "max-length": at("number", "data.maxLength"),
  joint: at("boolean", "tokenizers.joint"),
  "minimum-count": at("number", "tokenizers.minimumCount"),
  "source-type": at("text", "tokenizers.source.type"),
  "target-type": at("text", "tokenizers.target.type"),
  "source-vocabulary": at("number", "tokenizers.source.vocabularySize"),
  "target-vocabulary": at("number", "tokenizers.target.vocabularySize"),
  model: at("text", "model.type"),
  preset: at("text", "model.preset"),
  cell: at("text", "model.cell"),
  units: at("number", "model.units"),
  layers: at("number", "model.layers"),
  bidirectional: at("boolean", "model.bidirectional"),
  embedding: at("number", "model.embeddingDim"),
  dropout: at("number", "model.dropout"),
  optimizer: at("text", "training.optimizer.type"),
  "learning-rate": at("number", "training.optimizer.learningRate"),
  epochs: at("number", "training.epochs"),
  "max-updates": at("number", "training.maxUpdates"),
  "label-smoothing": at("number", "training.labelSmoothing"),
  "batch-size": at("number", "training.batchSize"),
  "batch-tokens": at("number", "training.batchTokens"),
  seed: at("number", "training.seed"),
  threads: at("number", "training.threads"),
  "save-every": at("number", "training.saveEvery"),
  "keep-models": at("number", "training.keepModels"),
  "valid-metrics": at("list", "validation.metrics"),
  monitor: at("text", "validation.monitor"),
};

/** Flags as `parseArgs` takes them. */
export function parsedFlags(
  flags: Readonly<Record<string, ConfigFlag>>,
): Record<string, { type: "string" | "boolean" }> {
  return Object.fromEntries(
    Object.entries(flags).map(
      ([name, { kind }]) => [name, { type: kind === "boolean" ? "boolean" : "string" }] as const,
    ),
  );
}

/** The flags that were given: name, place and value. */
export function givenFlags(
  args: Arguments,
  flags: Readonly<Record<string, ConfigFlag>>,
): { name: string; path: string; value: unknown }[] {
  return Object.entries(flags).flatMap(([name, { kind, path }]) => {
    const given = args.values[name];
    return given === undefined ? [] : [{ name, path, value: typeof given === "string" ? read(kind, given) : given }];
  });
}

function read(kind: FlagKind, text: string): unknown {
  if (kind === "number") return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
  if (kind === "text") return text;
  const parts = text.split(",").map((part) => part.trim());
  if (kind === "list") return parts;
  return parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
