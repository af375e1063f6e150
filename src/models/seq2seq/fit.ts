import type { Tokenizer } from "../../data/tokenizer.ts";
import { OptionError, StateError } from "../../errors.ts";
import { categoricalCrossentropy } from "../../losses/cross-entropy.ts";
import { type LabelSmoothing, smoothingFields } from "../../losses/label-smoothing.ts";
import type { MetricName } from "../../metrics/resolve.ts";
import type { Optimizer, OptimizerName } from "../../optimizers/optimizer.ts";
import { booleanOption, checkKeys, integerOption } from "../../options.ts";
import type { FitOptions } from "../../training/options.ts";
import type { Model } from "../model.ts";
import {
  type CheckedGeneration,
  checkGeneration,
  type ValidationGenerationOptions,
  type ValidationMetric,
} from "./generated-validation.ts";
import type { Pairs, RandomCutting } from "./pairs.ts";
import type { Roles } from "./roles.ts";
import { RegularizedCutting, type SubwordRegularization } from "./subword-regularization.ts";

/** Options of `Seq2Seq.fit`; those of `Model.fit` that are not listed have their meaning there. */
export interface Seq2SeqFitOptions
  extends Pick<
    FitOptions,
    | "initialEpoch"
    | "maxUpdates"
    | "stepsPerEpoch"
    | "mixedPrecision"
    | "callbacks"
    | "verbose"
    | "signal"
    | "onProgress"
    | "accumulateSteps"
    | "validationFreq"
  > {
  /** Pairs in a batch, at least 1; default 64. Exclusive with `batchTokens`. */
  batchSize?: number;
  /** Most positions in a batch, padding included: its pairs times its longest side. */
  batchTokens?: number;
  /** The epoch to stop at, counted from 0; default 1, with `maxUpdates` no limit. */
  epochs?: number;
  /** Pairs that validate after each epoch. */
  validation?: Pairs;
  /**
   * What is found out by translating the pairs of `validation`: `"bleu"` is logged as `valBleu` (0 to 100), `"exactMatch"`, the share of
   * translations that are the reference, as `valExactMatch`; callbacks may watch them. Default none.
   */
  validationMetrics?: readonly ValidationMetric[];
  /** How they are translated and how often; default all of them after each epoch, as `Seq2Seq.generate` does. */
  validationGeneration?: ValidationGenerationOptions;
  /** Seed of the order of the data, of dropout if the model gets compiled, and of the weights if they do not exist yet; default 0. */
  seed?: number;
  /** Pairs with a longer side are left out, in tokens with the end token; default no limit. */
  maxLength?: number;
  /**
   * For pairs that are streamed from files: reads them once and keeps their ids in memory, 4 bytes for each token and 12 for each
   * pair, so that all pairs are shuffled among each other; default `false`: they are read anew in each epoch, in windows.
   */
  keepIds?: boolean;
  /**
   * Cuts texts at random, anew in each epoch, so that the model sees them cut in different ways: BPE-dropout (Provilkov et al., 2020) or
   * subword regularisation (Kudo, 2018), as in `{ source: { dropout: 0.1 }, target: { dropout: 0.1 } }`. What a pair becomes follows from
   * `seed`, the epoch and the place of the pair; one that becomes longer than `maxLength` or `batchTokens` is cut in the best way. Pairs
   * that validate, and whatever is translated, are always cut in the best way. Needs tokenizers of type `"bpe"` (`dropout`) or `"unigram"`
   * (`alpha`); exclusive with `keepIds`. Default: texts are cut once, in the best way.
   */
  subwordRegularization?: SubwordRegularization;
  /** Compiles the model with this optimiser; default: the model as it was compiled, or `"rmsprop"`. */
  optimizer?: OptimizerName | Optimizer;
  /**
   * Compiles the model so that this share of each target is spread over all tokens; from 0 to 1, or `{ value, definition }` with
   * the definition of `"keras"` (default), `"fairseq"` or `"joeynmt"`.
   */
  labelSmoothing?: LabelSmoothing;
}

const keys: (keyof Seq2SeqFitOptions)[] = [
  "batchSize",
  "batchTokens",
  "epochs",
  "initialEpoch",
  "maxUpdates",
  "stepsPerEpoch",
  "mixedPrecision",
  "validation",
  "validationFreq",
  "validationMetrics",
  "validationGeneration",
  "seed",
  "maxLength",
  "keepIds",
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
export interface CheckedFit {
  readonly seed: number;
  readonly maxLength: number | undefined;
  readonly batches: { readonly batchSize: number } | { readonly batchTokens: number };
  readonly validation: Pairs | undefined;
  /** What the translations of the pairs that validate are looked at for. */
  readonly generation: CheckedGeneration | undefined;
  readonly keepIds: boolean;
  readonly subwordRegularization: SubwordRegularization | undefined;
  /** What `Model.fit` takes. */
  readonly passed: FitOptions;
}

/** Checks the options of `Seq2Seq.fit` that `Model.fit` does not know. */
export function checkFit(options: Seq2SeqFitOptions): CheckedFit {
  checkKeys("fit", options, keys);
  const { batchSize, batchTokens, seed, maxLength, validation, keepIds, optimizer, labelSmoothing, ...others } =
    options;
  const { validationMetrics, validationGeneration, subwordRegularization, ...passed } = others;
  if (keepIds === true && subwordRegularization !== undefined) {
    throw new OptionError(
      "fit: keepIds keeps what texts became, subwordRegularization cuts them anew: give one of both",
    );
  }
  if (batchSize !== undefined && batchTokens !== undefined) {
    throw new OptionError("fit: give either batchSize or batchTokens");
  }
  const generation = checkGeneration(validationMetrics, validationGeneration, options.signal);
  if (generation !== undefined && validation === undefined) {
    throw new OptionError("fit: validationMetrics needs pairs to translate: give validation");
  }
  return {
    generation,
    seed: integerOption("fit", "seed", seed ?? 0, 0),
    maxLength: maxLength === undefined ? undefined : integerOption("fit", "maxLength", maxLength, 1),
    batches:
      batchTokens === undefined
        ? { batchSize: integerOption("fit", "batchSize", batchSize ?? 64, 1) }
        : { batchTokens: integerOption("fit", "batchTokens", batchTokens, 1) },
    validation,
    keepIds: booleanOption("fit", "keepIds", keepIds ?? false),
    subwordRegularization,
    passed,
  };
}

/**
 * How the texts of training are cut at random, if they are.
 *
 * @throws OptionError if an amount is wrong, or a tokenizer cannot do that.
 */
export function cuttingOf(
  { subwordRegularization, seed, maxLength, batches }: CheckedFit,
  tokenizers: { readonly source: Tokenizer; readonly target: Tokenizer },
): RandomCutting | undefined {
  if (subwordRegularization === undefined) return undefined;
  const room = "batchTokens" in batches ? batches.batchTokens : Number.POSITIVE_INFINITY;
  return {
    cutting: new RegularizedCutting("fit: subwordRegularization", subwordRegularization, tokenizers, seed),
    longest: Math.min(maxLength ?? Number.POSITIVE_INFINITY, room),
    varies: "batchTokens" in batches,
  };
}

/**
 * Compiles a model if that is asked for, or needed.
 *
 * @throws OptionError if an option is wrong, or the model was compiled with a loss at another output.
 */
export function compileFor(
  model: Model,
  { output }: Pick<Roles, "output">,
  { optimizer, labelSmoothing }: Pick<Seq2SeqFitOptions, "optimizer" | "labelSmoothing">,
  seed: number,
): void {
  if (labelSmoothing !== undefined) smoothingFields("fit", labelSmoothing);
  if (model.compilation === undefined || optimizer !== undefined || labelSmoothing !== undefined) {
    const loss = categoricalCrossentropy(labelSmoothing === undefined ? {} : { labelSmoothing });
    model.compile({
      optimizer: optimizer ?? model.compilation?.optimizer ?? "rmsprop",
      loss: model.outputNames.map((_, index) => (index === output ? loss : null)),
      metrics: model.outputNames.map((_, index): MetricName[] => (index === output ? ["accuracy", "perplexity"] : [])),
      seed,
      mixedPrecision: model.mixedPrecision,
    });
  }
  checkTrained(model, output);
}

/** Throws unless the output with the next token's probabilities is the only one that is trained. */
export function checkTrained(model: Model, output: number): void {
  if (model.compilation === undefined) {
    throw new StateError(`model ${model.name} is not compiled: call fit or compile first`);
  }
  for (const [index, { loss, metrics, weightedMetrics }] of model.compilation.outputs.entries()) {
    const name = model.outputNames[index]!;
    if (index === output && loss === null) throw new OptionError(`model ${model.name}: output ${name} has no loss`);
    if (index !== output && (loss !== null || metrics.length > 0 || weightedMetrics.length > 0)) {
      throw new OptionError(`model ${model.name}: output ${name} has a loss or metrics, but pairs give it no targets`);
    }
  }
}
