import { OptionError } from "../errors.ts";
import { booleanOption, checkKeys, checkSignal, integerOption, numberOption } from "../options.ts";
import type { Callback } from "./callbacks/callback.ts";
import type { ClassWeight } from "./class-weight.ts";
import type { SampleWeights, ValidationData } from "./data.ts";
import { checkMixedPrecision, type MixedPrecision } from "./mixed-precision.ts";
import type { ProgressEvent } from "./progress.ts";

/**
 * What is printed: `"progress"` (a bar on a terminal, which is drawn anew; otherwise lines), `"lines"` (a line at the end), `"silent"`, or
 * `"auto"`: a bar on a terminal, otherwise lines. As in Keras, 0 is silent, 1 a bar and 2 lines.
 */
export type Verbosity = "auto" | "progress" | "lines" | "silent" | 0 | 1 | 2;

/** Options of all passes over data. */
export interface PassOptions {
  /** What is printed; default `"auto"` for `fit`, `"silent"` for the others. */
  verbose?: Verbosity;
  /** Ends the call between two steps, or within one; the rejection is then `signal.reason`. */
  signal?: AbortSignal;
  /** Told about the progress at most 20 times a second, and at the end. An error that it throws rejects the call. */
  onProgress?: (event: ProgressEvent) => void;
}

/** Options of `fit`. */
export interface FitOptions extends PassOptions {
  /** Rows of a step, from 1; default 32 for arrays. For a dataset it means that the items are examples, which are joined. */
  batchSize?: number;
  /** The epoch to stop at, counted from 0, so how many epochs are trained if `initialEpoch` is 0; default 1. */
  epochs?: number;
  /** Epoch to begin with, counted from 0; default 0. */
  initialEpoch?: number;
  /**
   * Updates of the weights after which training ends, from 1, if `epochs` do not end it before; default no limit. The epoch that it ends
   * in is validated and logged as any other. With it and without `epochs`, epochs go on until then.
   */
  maxUpdates?: number;
  /**
   * Steps of an epoch, from 1; default all data once. With it, an epoch goes on in the data where the one before ended, and begins
   * them anew when they are used up.
   */
  stepsPerEpoch?: number;
  /** Whether rows come in a new order in each epoch, default `true`; only for arrays (`Dataset.shuffle` shuffles a dataset). */
  shuffle?: boolean;
  /** Seed of that order, from 0 to 2^53 - 1; default drawn at random. The same seed gives the same order. */
  seed?: number;
  /** Part of the rows, above 0 and below 1, that validates instead of training: the last ones, cut off before shuffling. */
  validationSplit?: number;
  /** Data that validate: `[x, y]`, `[x, y, sampleWeight]`, an object with these names, or data in batches. */
  validationData?: ValidationData;
  /** Steps of a validation, from 1; default all. */
  validationSteps?: number;
  /** Epochs from one validation to the next, from 1; default 1. */
  validationFreq?: number;
  /** Rows of a step of validation, from 1; default `batchSize`. */
  validationBatchSize?: number;
  /** Factors of the loss by class id, for models with one output; default 1 for all. Exclusive with `sampleWeight`. */
  classWeight?: ClassWeight;
  /** Factors of the loss, `[rows]` or for outputs with a time axis `[rows, time]`; one array for all outputs, or one each; for arrays only. */
  sampleWeight?: SampleWeights;
  /** Run at certain moments, in this order. */
  callbacks?: readonly Callback[];
  /**
   * Batches whose gradients are averaged for one update, from 1; default 1. The last update of an epoch may have fewer; it averages
   * over those, unless the data come from an iterable, whose length is not known before.
   */
  accumulateSteps?: number;
  /** Replaces the option of `compile`, for this call and the next ones; default as before. */
  mixedPrecision?: MixedPrecision;
}

/** Options of `evaluate`. */
export interface EvaluateOptions extends PassOptions {
  /** Rows of a step, from 1; default 32 for arrays. For a dataset it means that the items are examples, which are joined. */
  batchSize?: number;
  /** Steps, from 1; default all data. */
  steps?: number;
  /** Factors of the loss, `[rows]` or `[rows, time]`; for arrays only. */
  sampleWeight?: SampleWeights;
}

/** Options of `predict`. */
export interface PredictOptions extends PassOptions {
  /** Rows of a step, from 1; default 32 for arrays. For a dataset it means that the items are examples, which are joined. */
  batchSize?: number;
  /** Steps, from 1; default all data. */
  steps?: number;
}

/** Options of `steps`. */
export interface StepsOptions {
  /** How many times the data are run through, from 1; default 1. */
  epochs?: number;
  /** Rows of a step, from 1, for arrays (default 32) and datasets of examples. */
  batchSize?: number;
  /** Whether rows of arrays come in a new order in each epoch, default `true`. */
  shuffle?: boolean;
  /** Seed of that order, from 0 to 2^53 - 1; default drawn at random. */
  seed?: number;
  /** Ends the loop between two steps, or within one; the rejection is then `signal.reason`. */
  signal?: AbortSignal;
}

/** Options of `trainOnBatch` and `testOnBatch`. */
export interface BatchOptions {
  /** Factors of the loss, `[rows]` or `[rows, time]`. */
  sampleWeight?: SampleWeights;
  /** Factors of the loss by class id, for models with one output. Exclusive with `sampleWeight`. */
  classWeight?: ClassWeight;
  /** Cancels the step; the rejection is then `signal.reason`. */
  signal?: AbortSignal;
}

const fitKeys: (keyof FitOptions)[] = [
  "batchSize",
  "epochs",
  "initialEpoch",
  "maxUpdates",
  "stepsPerEpoch",
  "shuffle",
  "seed",
  "validationSplit",
  "validationData",
  "validationSteps",
  "validationFreq",
  "validationBatchSize",
  "classWeight",
  "sampleWeight",
  "callbacks",
  "verbose",
  "signal",
  "onProgress",
  "accumulateSteps",
  "mixedPrecision",
];

/** Checks the options of `fit`, but for those that depend on the data. */
export function checkFitOptions(options: FitOptions): void {
  const where = "fit";
  checkKeys(where, options, fitKeys);
  checkPass(where, options);
  checkIntegers(where, options, [
    "batchSize",
    "maxUpdates",
    "stepsPerEpoch",
    "validationSteps",
    "validationFreq",
    "validationBatchSize",
    "accumulateSteps",
  ]);
  if (options.epochs !== undefined) integerOption(where, "epochs", options.epochs, 0);
  if (options.initialEpoch !== undefined) integerOption(where, "initialEpoch", options.initialEpoch, 0);
  if (options.seed !== undefined) integerOption(where, "seed", options.seed, 0);
  if (options.shuffle !== undefined) booleanOption(where, "shuffle", options.shuffle);
  if (options.validationSplit !== undefined) numberOption(where, "validationSplit", options.validationSplit, 0, 1);
  if (options.callbacks !== undefined && !Array.isArray(options.callbacks)) {
    throw new OptionError("fit: callbacks must be an array");
  }
  checkMixedPrecision(where, options.mixedPrecision);
  if (options.validationData !== undefined && options.validationSplit !== undefined) {
    throw new OptionError("fit: give either validationData or validationSplit");
  }
  if (options.classWeight !== undefined && options.sampleWeight !== undefined) {
    throw new OptionError("fit: give either classWeight or sampleWeight");
  }
}

/** Checks the options of `evaluate` and `predict`. */
export function checkPassOptions(where: string, options: EvaluateOptions | PredictOptions, keys: string[]): void {
  checkKeys(where, options, ["batchSize", "steps", "verbose", "signal", "onProgress", ...keys]);
  checkPass(where, options);
  checkIntegers(where, options, ["batchSize", "steps"]);
}

/** Checks that some options, where given, are integers of at least 1. */
export function checkIntegers<Key extends string>(
  where: string,
  options: { readonly [Name in Key]?: unknown },
  names: readonly Key[],
): void {
  for (const name of names) if (options[name] !== undefined) integerOption(where, name, options[name], 1);
}

function checkPass(where: string, options: PassOptions): void {
  verbosity(where, options.verbose, "silent");
  checkSignal(where, options.signal);
  if (options.onProgress !== undefined && typeof options.onProgress !== "function") {
    throw new OptionError(`${where}: onProgress must be a function`);
  }
}

const levels = ["silent", "progress", "lines"] as const;

/** What is printed, by name. */
export function verbosity(
  where: string,
  value: unknown,
  fallback: "auto" | "silent",
): "auto" | "progress" | "lines" | "silent" {
  if (value === undefined) return fallback;
  if (value === 0 || value === 1 || value === 2) return levels[value];
  const name = (["auto", ...levels] as const).find((known) => known === value);
  if (name === undefined) {
    throw new OptionError(`${where}: verbose must be "auto", "progress", "lines", "silent", 0, 1 or 2`);
  }
  return name;
}
