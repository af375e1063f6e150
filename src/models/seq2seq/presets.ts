import { adam } from "../../optimizers/factories.ts";
import { nameOption } from "../../options.ts";
import { inverseSqrt } from "../../schedules/schedule.ts";
import type { Seq2SeqFitOptions } from "./fit.ts";
import type { TransformerSeq2SeqOptions } from "./transformer.ts";

/** Names of known Transformers with their recipes. */
export type TransformerPresetName = "transformer-tiny" | "transformer-small" | "transformer-base";

/** All names of {@link TransformerPresetName}. */
export const transformerPresetNames: readonly TransformerPresetName[] = [
  "transformer-tiny",
  "transformer-small",
  "transformer-base",
];

/** Options of `Seq2Seq.transformer` that a preset stands for. */
export type TransformerPresetOptions = Readonly<
  Required<
    Pick<
      TransformerSeq2SeqOptions,
      | "dModel"
      | "heads"
      | "ffn"
      | "encoderLayers"
      | "decoderLayers"
      | "dropout"
      | "normalizeFirst"
      | "tiedEmbeddings"
      | "outputBias"
    >
  >
>;

/** A known Transformer: what it is made of, and how it is trained. */
export interface TransformerPreset {
  /** Options of `Seq2Seq.transformer`. */
  readonly model: TransformerPresetOptions;
  /**
   * Options of `Seq2Seq.fit`, with a new optimiser: Adam (betas 0.9 and 0.98) with a rate that rises over a warm-up and then falls
   * with the root of the steps, batches by tokens, and label smoothing. Epochs are not among them.
   */
  readonly fit: Pick<Seq2SeqFitOptions, "batchTokens" | "labelSmoothing" | "optimizer">;
}

/** Sizes, dropout, then peak and warm-up of the learning rate. */
const sizes: Readonly<
  Record<TransformerPresetName, readonly [number, number, number, number, number, number, number]>
> = {
  "transformer-tiny": [4, 128, 256, 4, 0.3, 5e-3, 2000],
  "transformer-small": [3, 256, 1024, 4, 0.1, 1e-3, 4000],
  "transformer-base": [6, 512, 2048, 8, 0.1, 7e-4, 4000],
};

/**
 * A known Transformer.
 *
 * @param where - Name of the caller, for messages.
 * @param name - Its name.
 * @throws OptionError if the name is unknown.
 */
export function transformerPreset(where: string, name: unknown): TransformerPreset {
  const [layers, dModel, ffn, heads, dropout, peak, warmup] =
    sizes[nameOption(where, "preset", name, transformerPresetNames)];
  return {
    model: {
      dModel,
      heads,
      ffn,
      encoderLayers: layers,
      decoderLayers: layers,
      dropout,
      normalizeFirst: false,
      tiedEmbeddings: "target",
      outputBias: false,
    },
    get fit() {
      return {
        batchTokens: 4096,
        labelSmoothing: 0.1,
        optimizer: adam({ learningRate: inverseSqrt({ peak, warmup }), beta1: 0.9, beta2: 0.98, epsilon: 1e-9 }),
      };
    },
  };
}
