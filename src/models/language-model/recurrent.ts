import type { Tokenizer } from "../../data/tokenizer.ts";
import { OptionError } from "../../errors.ts";
import type { SymbolicTensor } from "../../graph/tensor.ts";
import { randomUniform } from "../../initializers/rules.ts";
import { dropout } from "../../layers/dropout.ts";
import { gru } from "../../layers/gru.ts";
import { input } from "../../layers/input.ts";
import { lstm } from "../../layers/lstm.ts";
import { simpleRnn } from "../../layers/simple-rnn.ts";
import { booleanOption, checkKeys, integerOption, nameOption } from "../../options.ts";
import { model } from "../define.ts";
import type { Model } from "../model.ts";
import { type Cell, cells } from "../seq2seq/cells.ts";
import { rateOption, tokenizerOption } from "../transformer-parts.ts";
import { tablesOf } from "./tables.ts";

/** Options of {@link LanguageModel.recurrent}. */
export interface RecurrentLanguageModelOptions {
  /** Tokenizer of the texts. */
  tokenizer: Tokenizer;
  /** Features of each layer, at least 1; default 256. */
  units?: number;
  /** Width of the embeddings, at least 1; default `units`. */
  embeddingDim?: number;
  /** What the layers are; default `"lstm"`. */
  cell?: Cell;
  /** Layers, at least 1; default 2. */
  layers?: number;
  /** Share of the embeddings, and of the output of each layer, that becomes 0 in training; from 0 to below 1, default 0.2. */
  dropout?: number;
  /** Whether the table of embeddings also scores the next tokens, which needs `embeddingDim` to be `units`; default `false`. */
  tiedEmbeddings?: boolean;
  /** Whether the scores of tokens have a bias; default `true`. */
  outputBias?: boolean;
  /**
   * Whether states go on from block to block, as option `stateful` of the layers: `fit` and `evaluate` then read `batchSize` parts
   * of the texts side by side. Writing always begins with zeros. Default `false`.
   */
  stateful?: boolean;
  /** Name of the model; default `"languageModel"`. */
  name?: string;
}

const where = "LanguageModel.recurrent";

const keys: readonly (keyof RecurrentLanguageModelOptions)[] = [
  "tokenizer",
  "units",
  "embeddingDim",
  "cell",
  "layers",
  "dropout",
  "tiedEmbeddings",
  "outputBias",
  "stateful",
  "name",
];

/**
 * Recurrent layers over embeddings, with dropout between all of them, as a functional model with the input `tokens`: the
 * form of PyTorch's example `word_language_model`.
 *
 * @throws OptionError if an option is unknown, wrong or does not fit another.
 */
export function recurrentLanguageModel(options: RecurrentLanguageModelOptions): Model {
  checkKeys(where, options, keys);
  const tokenizer = tokenizerOption(where, "tokenizer", options.tokenizer);
  const units = integerOption(where, "units", options.units ?? 256, 1);
  const width = integerOption(where, "embeddingDim", options.embeddingDim ?? units, 1);
  const cell = nameOption(where, "cell", options.cell ?? "lstm", cells);
  const layers = integerOption(where, "layers", options.layers ?? 2, 1);
  const rate = rateOption(where, "dropout", options.dropout ?? 0.2);
  const tied = booleanOption(where, "tiedEmbeddings", options.tiedEmbeddings ?? false);
  if (tied && width !== units) {
    throw new OptionError(
      `${where}: tiedEmbeddings needs embeddingDim to be units, got ${width} and ${units}: leave embeddingDim out`,
    );
  }
  const stateful = booleanOption(where, "stateful", options.stateful ?? false);
  const { embed, probabilities } = tablesOf({
    size: tokenizer.vocabulary.size,
    width,
    tied,
    bias: booleanOption(where, "outputBias", options.outputBias ?? true),
    start: randomUniform({ minval: -0.1, maxval: 0.1 }),
  });
  const dropped = (x: SymbolicTensor, name: string) => (rate === 0 ? x : dropout({ name, rate })(x));
  const tokens = input({ shape: [null], dtype: "int32", name: "tokens" });
  let x = dropped(embed(tokens), "tokenDropout");
  for (let index = 1; index <= layers; index++) {
    const setup = { name: `decoder${index}`, units, returnSequences: true, stateful };
    const layer = cell === "lstm" ? lstm(setup) : cell === "gru" ? gru(setup) : simpleRnn(setup);
    x = dropped(layer(x), `decoderDropout${index}`);
  }
  return model({ inputs: tokens, outputs: probabilities(x), name: options.name ?? "languageModel" });
}
