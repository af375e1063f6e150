import type { Tokenizer } from "../../data/tokenizer.ts";
import { input } from "../../layers/input.ts";
import { transformerDecoder } from "../../layers/transformer.ts";
import { booleanOption, checkKeys, integerOption } from "../../options.ts";
import { model } from "../define.ts";
import type { Model } from "../model.ts";
import {
  checkTransformer,
  distanceCall,
  embeddingStart,
  finished,
  positioned,
  type TransformerOptions,
  tokenizerOption,
  transformerKeys,
} from "../transformer-parts.ts";
import { tablesOf } from "./tables.ts";

/** Options of {@link LanguageModel.transformer}. */
export interface TransformerLanguageModelOptions extends TransformerOptions {
  /** Tokenizer of the texts. */
  tokenizer: Tokenizer;
  /** Layers, at least 1; default 4. */
  layers?: number;
  /** Whether the table of embeddings also scores the next tokens; default `true`. */
  tiedEmbeddings?: boolean;
  /** Name of the model; default `"languageModel"`. */
  name?: string;
}

const where = "LanguageModel.transformer";

const keys: readonly (keyof TransformerLanguageModelOptions)[] = [
  ...transformerKeys,
  "tokenizer",
  "layers",
  "tiedEmbeddings",
  "name",
];

/**
 * Decoder layers of a Transformer without an encoder, as a functional model with the input `tokens`.
 *
 * @throws OptionError if an option is unknown, wrong or does not fit another.
 */
export function transformerLanguageModel(options: TransformerLanguageModelOptions): Model {
  checkKeys(where, options, keys);
  const tokenizer = tokenizerOption(where, "tokenizer", options.tokenizer);
  const checked = checkTransformer(where, options);
  const layers = integerOption(where, "layers", options.layers ?? 4, 1);
  const { embed, probabilities } = tablesOf({
    size: tokenizer.vocabulary.size,
    width: checked.dModel,
    tied: booleanOption(where, "tiedEmbeddings", options.tiedEmbeddings ?? true),
    bias: checked.outputBias,
    start: embeddingStart(checked.dModel),
  });
  const tokens = input({ shape: [null], dtype: "int32", name: "tokens" });
  const call = distanceCall("token", tokens, checked, false);
  let x = positioned("token", embed(tokens), checked);
  for (let index = 1; index <= layers; index++) {
    x = transformerDecoder({ ...checked.layer(index), name: `decoder${index}` })(x, call);
  }
  return model({
    inputs: tokens,
    outputs: probabilities(finished("decoder", x, checked)),
    name: options.name ?? "languageModel",
  });
}
