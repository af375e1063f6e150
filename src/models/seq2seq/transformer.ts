import type { Tokenizer } from "../../data/tokenizer.ts";
import { OptionError } from "../../errors.ts";
import type { SymbolicTensor } from "../../graph/tensor.ts";
import { activation } from "../../layers/activation.ts";
import { dense } from "../../layers/dense.ts";
import { embedding } from "../../layers/embedding.ts";
import { input } from "../../layers/input.ts";
import { type ReversibleEmbeddingLayer, reversibleEmbedding } from "../../layers/reversible-embedding.ts";
import { transformerDecoder, transformerEncoder } from "../../layers/transformer.ts";
import { checkKeys, integerOption } from "../../options.ts";
import { model } from "../define.ts";
import type { Model } from "../model.ts";
import {
  type CheckedTransformer,
  checkTransformer,
  distanceCall,
  embeddingStart,
  finished,
  positioned,
  type TransformerOptions,
  tokenizerOption,
  transformerKeys,
} from "../transformer-parts.ts";
import { type TransformerPresetName, transformerPreset } from "./presets.ts";

/**
 * Which tables are one: `"inputs"` those of both sides, `"target"` that of the target and the scores of its tokens, `"all"` all
 * three, `false` none.
 */
export type TiedEmbeddings = false | "inputs" | "target" | "all";

/** Options of {@link Seq2Seq.transformer}. */
export interface TransformerSeq2SeqOptions extends TransformerOptions {
  /** Tokenizer of the texts that are read. */
  source: Tokenizer;
  /** Tokenizer of the texts that are written. */
  target: Tokenizer;
  /** A known model, whose options hold where nothing else is said; `Seq2Seq.preset` has them and the recipe. Default none. */
  preset?: TransformerPresetName;
  /** Layers of the encoder, at least 1; default 3. */
  encoderLayers?: number;
  /** Layers of the decoder, at least 1; default 3. */
  decoderLayers?: number;
  /** Which tables are one; `"inputs"` and `"all"` need one tokenizer for both sides. Default `false`. */
  tiedEmbeddings?: TiedEmbeddings;
  /** Name of the model; default `"seq2seq"`. */
  name?: string;
}

const where = "Seq2Seq.transformer";

const keys: readonly (keyof TransformerSeq2SeqOptions)[] = [
  ...transformerKeys,
  "source",
  "target",
  "preset",
  "encoderLayers",
  "decoderLayers",
  "tiedEmbeddings",
  "name",
];

const tiedNames: readonly TiedEmbeddings[] = [false, "inputs", "target", "all"];

/**
 * The Transformer of Vaswani et al. (2017) as a functional model with the inputs `source` and `target`.
 *
 * @throws OptionError if an option is unknown, wrong or does not fit another.
 */
export function transformerModel(options: TransformerSeq2SeqOptions): Model {
  checkKeys(where, options, keys);
  const preset = options.preset === undefined ? {} : transformerPreset(where, options.preset).model;
  const all: TransformerSeq2SeqOptions = { ...preset, ...definedOnly(options) };
  const checked = checkTransformer(where, all);
  const encoderLayers = integerOption(where, "encoderLayers", all.encoderLayers ?? 3, 1);
  const decoderLayers = integerOption(where, "decoderLayers", all.decoderLayers ?? 3, 1);
  const tables = tablesOf(all, checked);

  const sourceIds = input({ shape: [null], dtype: "int32", name: "source" });
  const targetIds = input({ shape: [null], dtype: "int32", name: "target" });

  const readCall = distanceCall("source", sourceIds, checked, true);
  let read = positioned("source", tables.source(sourceIds), checked);
  for (let index = 1; index <= encoderLayers; index++) {
    read = transformerEncoder({ ...checked.layer(index), name: `encoder${index}` })(read, readCall);
  }
  const memory = finished("encoder", read, checked);

  const writtenCall = distanceCall("target", targetIds, checked, false);
  let written = positioned("target", tables.target(targetIds), checked);
  for (let index = 1; index <= decoderLayers; index++) {
    written = transformerDecoder({ ...checked.layer(index), name: `decoder${index}` })(written, memory, writtenCall);
  }
  const probabilities = tables.probabilities(finished("decoder", written, checked));
  return model({ inputs: [sourceIds, targetIds], outputs: probabilities, name: all.name ?? "seq2seq" });
}

/** The options that are said: what is `undefined` leaves the preset's. */
function definedOnly<Options extends object>(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options;
}

/** What turns ids into vectors, and vectors into probabilities of ids. */
interface Tables {
  readonly source: (ids: SymbolicTensor) => SymbolicTensor;
  readonly target: (ids: SymbolicTensor) => SymbolicTensor;
  readonly probabilities: (x: SymbolicTensor) => SymbolicTensor;
}

function tablesOf(options: TransformerSeq2SeqOptions, { dModel, outputBias }: CheckedTransformer): Tables {
  const source = tokenizerOption(where, "source", options.source);
  const target = tokenizerOption(where, "target", options.target);
  const tied = options.tiedEmbeddings ?? false;
  if (!tiedNames.includes(tied)) {
    throw new OptionError(`${where}: tiedEmbeddings must be one of ${tiedNames.join(", ")}, got ${String(tied)}`);
  }
  if ((tied === "inputs" || tied === "all") && source !== target && JSON.stringify(source) !== JSON.stringify(target)) {
    throw new OptionError(
      `${where}: tiedEmbeddings "${tied}" needs one tokenizer for both sides: train it on the sources and the targets together`,
    );
  }
  const start = embeddingStart(dModel);
  const table = (name: string, { vocabulary }: Tokenizer) =>
    embedding({ name, inputDim: vocabulary.size, outputDim: dModel, maskZero: true, embeddingsInitializer: start });
  if (tied === "target" || tied === "all") {
    const both: ReversibleEmbeddingLayer = reversibleEmbedding({
      name: tied === "all" ? "embedding" : "targetEmbedding",
      inputDim: target.vocabulary.size,
      outputDim: dModel,
      maskZero: true,
      useBias: outputBias,
      embeddingsInitializer: start,
    });
    const softmax = activation({ name: "probabilities", activation: "softmax" });
    return {
      source: tied === "all" ? (ids) => both(ids) : table("sourceEmbedding", source),
      target: (ids) => both(ids),
      probabilities: (x) => softmax(both(x, { reverse: true })),
    };
  }
  const first = table(tied === "inputs" ? "embedding" : "sourceEmbedding", source);
  return {
    source: first,
    target: tied === "inputs" ? first : table("targetEmbedding", target),
    probabilities: dense({
      name: "probabilities",
      units: target.vocabulary.size,
      activation: "softmax",
      useBias: outputBias,
      kernelInitializer: start,
    }),
  };
}
