import { existsSync } from "node:fs";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import type { Place } from "./lstm-step-cases.ts";
import {
  type TransformerCase,
  type TransformerOptions,
  withoutDropout,
  writeTransformerWeights,
} from "./transformer-cases.ts";
import { measured, Worker } from "./worker.ts";

/** Multi30k as ids in a file. */
export interface PreparedText {
  /** Entries of the joint vocabulary. */
  vocabulary: number;
  /** Source, decoder and goal ids of each update. */
  batches: Place[][];
  /** Target tokens of each update, padding left out. */
  tokens: number[];
  validation: Place[][];
  validationTokens: number;
}

const vocabularySize = 8000;
/** Target positions of a batch, padding included. */
const batchTokens = 4096;

/** The files of Multi30k en-de. */
export function multi30kFiles(bench: string, { data }: BenchOptions): { training: string; validation: string } {
  const file = (part: string) => join(data ?? "", "mt", `multi30k-en-de.${part}.tsv.gz`);
  const files = { training: file("train"), validation: file("val") };
  if (data === undefined || !Object.values(files).every((path) => existsSync(path))) {
    const names = "mt/multi30k-en-de.train.tsv.gz and mt/multi30k-en-de.val.tsv.gz";
    throw new UsageError(`${bench}: --data (or SCONCE_DATA) must name the folder that holds ${names}`);
  }
  return files;
}

/** Batches of the first epochs in a seeded order, in lower case, with a joint vocabulary of byte pairs. */
export async function prepareMulti30k(
  files: { training: string; validation?: string },
  updates: number,
  idsFile: string,
): Promise<PreparedText> {
  const worker = new Worker(measured("multi30k.mjs"));
  try {
    return await worker.ask<PreparedText>({
      command: "prepare",
      ...files,
      vocabularySize,
      batchTokens,
      updates,
      seed: 1,
      idsFile,
    });
  } finally {
    worker.close();
  }
}

/** The models by name: those of the presets `transformer-tiny` and `transformer-small`, with their recipe. */
export function multi30kModels(vocabulary: number): Record<string, TransformerOptions> {
  const usual = {
    sourceVocabulary: vocabulary,
    targetVocabulary: vocabulary,
    heads: 4,
    attentionDropout: 0,
    activationDropout: 0,
    normalizeFirst: false,
    epsilon: 1e-5,
    interleaved: true,
    tied: true,
    labelSmoothing: 0.1,
  };
  const optimizer = { beta1: 0.9, beta2: 0.98, epsilon: 1e-9, weightDecay: 0 };
  return {
    small: {
      ...usual,
      dimension: 256,
      feedForward: 1024,
      encoderLayers: 3,
      decoderLayers: 3,
      dropout: 0.1,
      optimizer: { ...optimizer, learningRate: 1e-3, warmup: 4000 },
    },
    tiny: {
      ...usual,
      dimension: 128,
      feedForward: 256,
      encoderLayers: 4,
      decoderLayers: 4,
      dropout: 0.3,
      optimizer: { ...optimizer, learningRate: 5e-3, warmup: 2000 },
    },
  };
}

/** Names of {@link multi30kModels}. */
export const multi30kModelNames = Object.keys(multi30kModels(vocabularySize));

/** A case of prepared text for both sides. */
export function multi30kCase(name: string, text: PreparedText, idsFile: string, folder: string): TransformerCase {
  const options = multi30kModels(text.vocabulary)[name]!;
  const written = writeTransformerWeights(options, join(folder, `${name}.weights`));
  return { ...options, ...written, masked: true, batches: text.batches, idsFile, check: withoutDropout };
}
