import { Tokenizer } from "../../data/tokenizer.ts";
import { OptionError } from "../../errors.ts";
import type { SymbolicTensor } from "../../graph/tensor.ts";
import { dense } from "../../layers/dense.ts";
import { dropout } from "../../layers/dropout.ts";
import { type EmbeddingOptions, embedding } from "../../layers/embedding.ts";
import { input } from "../../layers/input.ts";
import { booleanOption, checkKeys, integerOption, nameOption, numberOption } from "../../options.ts";
import { model } from "../define.ts";
import type { Model } from "../model.ts";
import {
  attentionDecoder,
  attentionDecoderLayer,
  type Cell,
  cells,
  decoderLayer,
  encoderLayer,
  forms,
  type SeqAttention,
  seqAttentions,
} from "./cells.ts";

/** Which decoder layer gets the output of the attention in the next step: the last one, which attends, or the first one. */
export type InputFeeding = "lastLayer" | "firstLayer";

/** Options of {@link Seq2Seq.recurrent}. */
export interface RecurrentSeq2SeqOptions {
  /** Tokenizer of the texts that are read. */
  source: Tokenizer;
  /** Tokenizer of the texts that are written. */
  target: Tokenizer;
  /** Features of each decoder layer, and of the encoder's unless `encoderUnits` says otherwise; at least 1. */
  units: number;
  /** Width of the embeddings, at least 1; default `units`. */
  embeddingDim?: number;
  /** What the recurrent layers are; default `"lstm"`. */
  cell?: Cell;
  /** Recurrent layers of the encoder, and as many of the decoder; at least 1, default 1. */
  layers?: number;
  /** The encoder reads in both directions; its states are those of both, one after the other. Default `false`. */
  bidirectional?: boolean;
  /** Features of each direction of the encoder, at least 1; default `units`. */
  encoderUnits?: number;
  /**
   * How decoder layer N begins, with the last states of encoder layer N: `"lastState"`, as they are, which needs states of equal size,
   * or `"dense"`, each through a layer of its own (`tanh` for outputs, linear for the memory of an LSTM).
   * Default `"lastState"` where sizes agree, else `"dense"`.
   */
  bridge?: "lastState" | "dense";
  /** One table of embeddings for both sides, which must have the same tokenizer; default `false`. */
  tiedEmbeddings?: boolean;
  /** How the source embeddings begin, as `embeddingsInitializer` of `layers.embedding`; `"glove:50d"` knows the words of `source`. */
  sourceEmbeddings?: EmbeddingOptions["embeddingsInitializer"];
  /** How the target embeddings begin; with `tiedEmbeddings` only `sourceEmbeddings` may be given. */
  targetEmbeddings?: EmbeddingOptions["embeddingsInitializer"];
  /** Share of the inputs of each recurrent layer that become 0 in training; from 0 to below 1, default 0. */
  dropout?: number;
  /** Share of the states that become 0 in training; from 0 to below 1, default 0. */
  recurrentDropout?: number;
  /** Share of what the last decoder layer gives that becomes 0 in training, before it is scored; from 0 to below 1, default 0. */
  outputDropout?: number;
  /**
   * How the decoder looks at the steps of the encoder: not at all (`"none"`: it sees the encoder's last states alone), as Luong et
   * al. 2015 (`"dot"`, which needs encoder outputs of `units` features, or `"luong"`, their "general" form, of any size; in the last
   * decoder layer, see `inputFeeding`), or as Bahdanau et al. 2015 (`"bahdanau"`, in the first decoder layer). Cells `"lstm"` and
   * `"gru"` alone. Default `"none"`.
   */
  attention?: SeqAttention;
  /**
   * Which decoder layer gets the output of `"dot"` and `"luong"` attention in the next step: that which attends, `"lastLayer"`, or
   * `"firstLayer"`, so that all of them know where the step before looked (Luong et al. 2015, section 3.3); the decoder is then one
   * `layers.attentionRnn`, whose `dropout` is also of what is fed. With one layer both are the same. Default `"lastLayer"`.
   */
  inputFeeding?: InputFeeding;
  /** Name of the model; default `"seq2seq"`. */
  name?: string;
}

const where = "Seq2Seq.recurrent";

const keys: (keyof RecurrentSeq2SeqOptions)[] = [
  "source",
  "target",
  "units",
  "embeddingDim",
  "cell",
  "layers",
  "bidirectional",
  "encoderUnits",
  "bridge",
  "tiedEmbeddings",
  "sourceEmbeddings",
  "targetEmbeddings",
  "dropout",
  "recurrentDropout",
  "outputDropout",
  "attention",
  "inputFeeding",
  "name",
];

/**
 * The recurrent encoder-decoder as a functional model with the inputs `source` and `target`.
 *
 * @throws OptionError if an option is unknown, wrong or does not fit another.
 */
export function recurrentModel(options: RecurrentSeq2SeqOptions): Model {
  const checked = check(options);
  const { source, target, units, embeddingDim, cell, layers, bidirectional, encoderUnits, bridge } = checked;
  const rates = { dropout: checked.dropout, recurrentDropout: checked.recurrentDropout };
  const { attention, outputDropout } = checked;

  const sourceIds = input({ shape: [null], dtype: "int32", name: "source" });
  const targetIds = input({ shape: [null], dtype: "int32", name: "target" });
  const table = (name: string, { vocabulary }: Tokenizer, start: EmbeddingOptions["embeddingsInitializer"]) =>
    embedding({
      name,
      inputDim: vocabulary.size,
      outputDim: embeddingDim,
      maskZero: true,
      vocabulary,
      ...(start === undefined ? {} : { embeddingsInitializer: start }),
    });
  const { tiedEmbeddings, sourceEmbeddings, targetEmbeddings } = checked;
  const sourceTable = table(tiedEmbeddings ? "embedding" : "sourceEmbedding", source, sourceEmbeddings);
  const targetTable = tiedEmbeddings ? sourceTable : table("targetEmbedding", target, targetEmbeddings);

  let read = sourceTable(sourceIds);
  const states: SymbolicTensor[][] = [];
  for (let index = 0; index < layers; index++) {
    const name = numbered("encoder", index, layers);
    const setup = { name, units: encoderUnits, ...rates, returnSequences: index + 1 < layers || attention !== "none" };
    const [output, ...last] = encoderLayer(cell, setup, bidirectional, read);
    read = output;
    states.push(last);
  }

  const place = attention === "none" ? undefined : attention === "bahdanau" ? 0 : layers - 1;
  let written = targetTable(targetIds);
  const begun = states.map((last, index) =>
    bridge === "lastState" ? last : last.map((state, place) => bridged(state, index, place, checked)),
  );
  if (checked.inputFeeding === "firstLayer" && layers > 1) {
    const looks = { name: "decoder", cell, units, layers, attention: forms[attention], ...rates };
    written = attentionDecoder(looks, written, read, begun.flat());
  } else {
    for (const [index, initial] of begun.entries()) {
      const name = numbered("decoder", index, layers);
      if (index === place) {
        const looks = { name, cell, units, attention: forms[attention], ...rates };
        written = attentionDecoderLayer(looks, written, read, initial);
      } else {
        written = decoderLayer(cell, { name, units, ...rates, returnSequences: true }, written, initial);
      }
    }
  }
  if (outputDropout > 0) written = dropout({ name: "outputDropout", rate: outputDropout })(written);
  const probabilities = dense({ name: "probabilities", units: target.vocabulary.size, activation: "softmax" })(written);
  return model({ inputs: [sourceIds, targetIds], outputs: probabilities, name: checked.name });
}

/** The state of an encoder layer in the size of the decoder's. An output lies between -1 and 1, an LSTM's memory anywhere. */
function bridged(state: SymbolicTensor, index: number, place: number, { units, layers }: Checked): SymbolicTensor {
  const part = place === 0 ? "bridge" : "memoryBridge";
  return dense({ name: numbered(part, index, layers), units, activation: place === 0 ? "tanh" : "linear" })(state);
}

function numbered(name: string, index: number, count: number): string {
  return count === 1 ? name : `${name}${index + 1}`;
}

interface Checked {
  readonly source: Tokenizer;
  readonly target: Tokenizer;
  readonly units: number;
  readonly embeddingDim: number;
  readonly cell: Cell;
  readonly layers: number;
  readonly bidirectional: boolean;
  readonly encoderUnits: number;
  readonly bridge: "lastState" | "dense";
  readonly tiedEmbeddings: boolean;
  readonly sourceEmbeddings: EmbeddingOptions["embeddingsInitializer"];
  readonly targetEmbeddings: EmbeddingOptions["embeddingsInitializer"];
  readonly dropout: number;
  readonly recurrentDropout: number;
  readonly outputDropout: number;
  readonly attention: SeqAttention;
  readonly inputFeeding: InputFeeding;
  readonly name: string;
}

function check(options: RecurrentSeq2SeqOptions): Checked {
  checkKeys(where, options, keys);
  const { source, target } = options;
  for (const [name, tokenizer] of [["source", source] as const, ["target", target] as const]) {
    if (!(tokenizer instanceof Tokenizer)) throw new OptionError(`${where}: ${name} must be a Tokenizer`);
  }
  const attention = nameOption(where, "attention", options.attention ?? "none", seqAttentions);
  const units = integerOption(where, "units", options.units, 1);
  const encoderUnits = integerOption(where, "encoderUnits", options.encoderUnits ?? units, 1);
  const bidirectional = booleanOption(where, "bidirectional", options.bidirectional ?? false);
  const size = bidirectional ? 2 * encoderUnits : encoderUnits;
  const standard = size === units ? "lastState" : "dense";
  const bridge = nameOption(where, "bridge", options.bridge ?? standard, ["lastState", "dense"]);
  if (bridge === "lastState" && size !== units) {
    throw new OptionError(
      `${where}: bridge "lastState" needs encoder states of the decoder's ${units} units, got ${size}` +
        `${bidirectional ? " from both directions" : ""}: set encoderUnits, or bridge: "dense"`,
    );
  }
  const cell = nameOption(where, "cell", options.cell ?? "lstm", cells);
  checkAttention(attention, cell, units, size);
  const tiedEmbeddings = booleanOption(where, "tiedEmbeddings", options.tiedEmbeddings ?? false);
  if (tiedEmbeddings && source !== target && JSON.stringify(source) !== JSON.stringify(target)) {
    throw new OptionError(
      `${where}: tiedEmbeddings needs one tokenizer for both sides: train it on the sources and the targets together`,
    );
  }
  if (tiedEmbeddings && options.targetEmbeddings !== undefined) {
    throw new OptionError(`${where}: with tiedEmbeddings the only table is that of sourceEmbeddings`);
  }
  return {
    source,
    target,
    units,
    embeddingDim: integerOption(where, "embeddingDim", options.embeddingDim ?? units, 1),
    cell,
    layers: integerOption(where, "layers", options.layers ?? 1, 1),
    bidirectional,
    encoderUnits,
    bridge,
    tiedEmbeddings,
    sourceEmbeddings: options.sourceEmbeddings,
    targetEmbeddings: options.targetEmbeddings,
    dropout: rate("dropout", options.dropout),
    recurrentDropout: rate("recurrentDropout", options.recurrentDropout),
    outputDropout: rate("outputDropout", options.outputDropout),
    attention,
    inputFeeding: checkFeeding(attention, options.inputFeeding),
    name: options.name ?? "seq2seq",
  };
}

/** Throws if a form of attention does not fit the other options; `size` are the features of the encoder's outputs. */
function checkAttention(attention: SeqAttention, cell: Cell, units: number, size: number): void {
  if (attention === "none") return;
  if (cell === "simple") {
    throw new OptionError(`${where}: attention "${attention}" is for the cells lstm and gru, got "simple"`);
  }
  if (attention === "dot" && size !== units) {
    throw new OptionError(
      `${where}: attention "dot" needs encoder outputs of the decoder's ${units} units, got ${size}: ` +
        `set encoderUnits, or attention: "luong"`,
    );
  }
}

function checkFeeding(attention: SeqAttention, given: InputFeeding | undefined): InputFeeding {
  const feeding = nameOption(where, "inputFeeding", given ?? "lastLayer", ["lastLayer", "firstLayer"]);
  if (given !== undefined && attention !== "dot" && attention !== "luong") {
    throw new OptionError(`${where}: inputFeeding is for attention "dot" and "luong", got "${attention}"`);
  }
  return feeding;
}

function rate(name: string, value: number | undefined): number {
  const checked = numberOption(where, name, value ?? 0, 0, 1);
  if (checked === 1) throw new OptionError(`${where}: ${name} must be below 1, got 1`);
  return checked;
}
