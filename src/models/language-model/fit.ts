import type { Optimizer, OptimizerName } from "../../optimizers/optimizer.ts";
import { checkKeys, checkSignal, integerOption } from "../../options.ts";
import type { FitOptions } from "../../training/options.ts";
import type { SubwordRegularizationSide } from "../seq2seq/subword-regularization.ts";
import type { Documents } from "./blocks.ts";

/** Options of `LanguageModel.fit`; those of `Model.fit` that are not listed have their meaning there. */
export interface LanguageModelFitOptions
  extends Pick<
    FitOptions,
    | "initialEpoch"
    | "mixedPrecision"
    | "callbacks"
    | "verbose"
    | "signal"
    | "onProgress"
    | "accumulateSteps"
    | "validationFreq"
  > {
  /**
   * Tokens of a block: the texts are cut into blocks, and nothing is known of what was before unless layers are stateful; at least 1,
   * default 128.
   */
  contextLength?: number;
  /** Blocks in a batch, or with stateful layers parts of the texts that are read side by side, at least 1; default 32. */
  batchSize?: number;
  /** The epoch to stop at, counted from 0; default 1. */
  epochs?: number;
  /** Texts that validate after each epoch. */
  validation?: Documents;
  /** Seed of the order of the blocks, of dropout if the model gets compiled, and of the weights if they do not exist yet; default 0. */
  seed?: number;
  /**
   * Cuts texts at random, anew in each epoch, so that the model sees them cut in different ways: `{ dropout: 0.1 }` for tokenizers of type
   * `"bpe"` (BPE-dropout; Provilkov et al., 2020), `{ alpha: 0.3 }` for `"unigram"` (subword regularisation; Kudo, 2018). What a text becomes
   * follows from `seed`, the epoch and its place among the texts. Those that validate, and whatever is generated, are always cut in the
   * best way. Default: texts are cut once, in the best way.
   */
  subwordRegularization?: SubwordRegularizationSide;
  /** Compiles the model with this optimiser; default: the model as it was compiled, or `"adam"`. */
  optimizer?: OptimizerName | Optimizer;
  /** Compiles the model so that this share of each target is spread over all tokens; from 0 to 1. */
  labelSmoothing?: number;
}

const keys: readonly (keyof LanguageModelFitOptions)[] = [
  "contextLength",
  "batchSize",
  "epochs",
  "initialEpoch",
  "mixedPrecision",
  "validation",
  "validationFreq",
  "seed",
  "subwordRegularization",
  "callbacks",
  "verbose",
  "signal",
  "onProgress",
  "accumulateSteps",
  "optimizer",
  "labelSmoothing",
];

/** Checked options. */
export interface CheckedLanguageModelFit {
  readonly contextLength: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly validation: Documents | undefined;
  readonly subwordRegularization: SubwordRegularizationSide | undefined;
  /** What `Model.fit` takes. */
  readonly passed: FitOptions;
}

/** Checks the options of `LanguageModel.fit` that `Model.fit` does not know. */
export function checkLanguageModelFit(options: LanguageModelFitOptions): CheckedLanguageModelFit {
  const where = "fit";
  checkKeys(where, options, keys);
  const { contextLength, batchSize, seed, validation, subwordRegularization, ...others } = options;
  const { optimizer: _, labelSmoothing: __, ...passed } = others;
  return {
    contextLength: integerOption(where, "contextLength", contextLength ?? 128, 1),
    batchSize: integerOption(where, "batchSize", batchSize ?? 32, 1),
    seed: integerOption(where, "seed", seed ?? 0, 0),
    validation,
    subwordRegularization,
    passed,
  };
}

/** Options of `LanguageModel.evaluate`. */
export interface LanguageModelEvaluateOptions {
  /** Tokens of a block, of which each knows only those before it in its block unless layers are stateful; at least 1, default 128. */
  contextLength?: number;
  /** Blocks in a batch, or with stateful layers parts of the texts that are read side by side, at least 1; default 32. */
  batchSize?: number;
  /** Stops between two batches; the rejection is its reason. */
  signal?: AbortSignal;
}

/** Checks the options of `LanguageModel.evaluate`. */
export function checkLanguageModelEvaluate(
  options: LanguageModelEvaluateOptions,
): Required<Omit<LanguageModelEvaluateOptions, "signal">> & { signal: AbortSignal | undefined } {
  const where = "evaluate";
  checkKeys(where, options, ["contextLength", "batchSize", "signal"]);
  checkSignal(where, options.signal);
  return {
    contextLength: integerOption(where, "contextLength", options.contextLength ?? 128, 1),
    batchSize: integerOption(where, "batchSize", options.batchSize ?? 32, 1),
    signal: options.signal,
  };
}

/** What `LanguageModel.evaluate` gives; means are over all tokens, those that end a text included. */
export interface LanguageModelEvaluation {
  /** Mean loss of a token. */
  loss: number;
  /** `exp` of the mean cross-entropy of a token, without label smoothing. */
  perplexity: number;
  /** Share of tokens that are the most probable one, given the tokens before. */
  tokenAccuracy: number;
  /** Count of tokens. */
  tokens: number;
}
