import { OptionError } from "../errors.ts";
import type { Signature } from "../graph/tensor.ts";
import type { CustomLoss, LossFunction } from "../losses/custom.ts";
import type { Loss, LossDocument } from "../losses/loss.ts";
import { type LossName, resolveLoss } from "../losses/resolve.ts";
import type { Metric, MetricDocument } from "../metrics/metric.ts";
import { type MetricName, resolveMetric } from "../metrics/resolve.ts";
import type { Optimizer, OptimizerName } from "../optimizers/optimizer.ts";
import { resolveOptimizer } from "../optimizers/resolve.ts";
import { checkKeys, integerOption, numberOption } from "../options.ts";
import { checkMixedPrecision, type MixedPrecision } from "../training/mixed-precision.ts";

/** A loss by name, made by a function in `losses`, or a function that makes losses of symbolic tensors. */
export type LossOption = LossName | Loss | CustomLoss | LossFunction;

/** Metrics by name, made by functions in `metrics`, or functions that make values of symbolic tensors. */
export type MetricsOption = readonly (MetricName | Metric | CustomLoss | LossFunction)[];

/** Options of `Model.compile`. */
export interface CompileOptions {
  /** Default `"rmsprop"`. */
  optimizer?: OptimizerName | Optimizer;
  /**
   * One loss for all outputs, a list with one for each output (`null` for none), or an object with one for each output
   * that has a loss, by the name of the output's layer.
   */
  loss: LossOption | readonly (LossOption | null)[] | Readonly<Record<string, LossOption | null>>;
  /**
   * For a model with one output a list of metrics; otherwise a list with one list for each output, or an object with lists
   * by the name of the output's layer. Default none.
   */
  metrics?: MetricsOption | readonly MetricsOption[] | Readonly<Record<string, MetricsOption>>;
  /**
   * Metrics in which sample weights and class weights have a part, as `metrics`. Default none. Where a metric of the same name is
   * there already, they are called `weightedAccuracy` and so on.
   */
  weightedMetrics?: MetricsOption | readonly MetricsOption[] | Readonly<Record<string, MetricsOption>>;
  /** Factors of the losses in the total, by output as for `loss`; default 1. */
  lossWeights?: readonly number[] | Readonly<Record<string, number>>;
  /** Seed of dropout, an integer from 0 to 2^53 - 1; default 0, so that runs can be repeated. */
  seed?: number;
  /**
   * `"bfloat16"`: the factors of large products in steps of training and tests are rounded to bfloat16, which has 8 bits of mantissa, and
   * summed in float32; it needs a CPU with `avx512_bf16` (`environment().bfloat16`). Weights, optimiser, `predict` and `generate` stay in
   * float32, and a saved model does not remember it. Default `false`: all is float32.
   */
  mixedPrecision?: MixedPrecision;
}

/** What one output is trained with. */
export interface CompiledOutput {
  readonly loss: Loss | null;
  readonly weight: number;
  readonly metrics: readonly Metric[];
  readonly weightedMetrics: readonly Metric[];
}

/** Checked options of `compile`. */
export interface Compilation {
  readonly optimizer: Optimizer;
  readonly outputs: readonly CompiledOutput[];
  readonly seed: number;
  /** Default `false`. */
  readonly mixedPrecision?: MixedPrecision;
}

/** A compilation as the addon takes it; saved models hold it with a schedule in the place of the learning rate. */
export interface CompilationDocument {
  readonly optimizer: { readonly [option: string]: unknown };
  readonly outputs: readonly {
    readonly loss: (LossDocument & { readonly weight: number }) | null;
    readonly metrics: readonly MetricDocument[];
    readonly weightedMetrics: readonly MetricDocument[];
  }[];
  readonly seed: number;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Values by output, from a list in the order of outputs or an object by their names. */
function byOutput(where: string, option: string, value: unknown, names: readonly string[]): readonly unknown[] {
  if (Array.isArray(value)) {
    if (value.length === names.length) return value;
    throw new OptionError(
      `${where}: ${option} has ${value.length} entries for ${names.length} outputs: ${names.join(", ")}`,
    );
  }
  if (!isRecord(value)) throw new OptionError(`${where}: ${option} must be a list or an object by names of outputs`);
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) {
      throw new OptionError(
        `${where}: ${option}: there is no output ${JSON.stringify(name)}; outputs are ${names.join(", ")}`,
      );
    }
  }
  return names.map((name) => (Object.hasOwn(value, name) ? value[name] : undefined));
}

function metricsByOutput(
  where: string,
  option: string,
  value: unknown,
  names: readonly string[],
  signatures: readonly Signature[],
): readonly (readonly Metric[])[] {
  return metricLists(where, option, value, names).map((list, index) => {
    if (Array.isArray(list)) return list.map((metric) => resolveMetric(where, metric, signatures[index]));
    if (list === undefined) return [];
    throw new OptionError(`${where}: ${option} must be lists, got ${String(list)}`);
  });
}

function metricLists(where: string, option: string, value: unknown, names: readonly string[]): readonly unknown[] {
  if (value === undefined) return names.map(() => []);
  if (!Array.isArray(value)) return byOutput(where, option, value, names);
  if (value.every((entry) => Array.isArray(entry)))
    return value.length === 0 ? names.map(() => []) : byOutput(where, option, value, names);
  if (names.length === 1) return [value];
  throw new OptionError(
    `${where}: ${option} of ${names.length} outputs must be a list of lists or an object: ${names.join(", ")}`,
  );
}

/**
 * Checks the options of `compile`.
 *
 * @param where - Name of the model, for messages.
 * @param options - As the user gave them.
 * @param names - Names of the outputs.
 * @param signatures - What the outputs are, for losses that are functions.
 * @throws OptionError if an option is unknown, no output has a loss, or the CPU lacks `mixedPrecision`.
 */
export function checkCompile(
  where: string,
  options: CompileOptions,
  names: readonly string[],
  signatures: readonly Signature[],
): Compilation {
  checkKeys(where, options, [
    "optimizer",
    "loss",
    "metrics",
    "weightedMetrics",
    "lossWeights",
    "seed",
    "mixedPrecision",
  ]);
  const { loss } = options;
  const perOutput = Array.isArray(loss) || isRecord(loss);
  const losses = perOutput ? byOutput(where, "loss", loss, names) : names.map(() => loss);
  const weights = options.lossWeights === undefined ? [] : byOutput(where, "lossWeights", options.lossWeights, names);
  const metrics = metricsByOutput(where, "metrics", options.metrics, names, signatures);
  const weightedMetrics = metricsByOutput(where, "weightedMetrics", options.weightedMetrics, names, signatures);
  const outputs = names.map((_, index): CompiledOutput => {
    const own = losses[index] ?? null;
    if (own === null && !perOutput) throw new OptionError(`${where}: the option loss is missing`);
    return {
      loss: own === null ? null : resolveLoss(where, own, signatures[index]),
      weight: numberOption(where, "lossWeights", weights[index] ?? 1, 0),
      metrics: metrics[index]!,
      weightedMetrics: weightedMetrics[index]!,
    };
  });
  if (outputs.every((output) => output.loss === null)) throw new OptionError(`${where}: no output has a loss`);
  return {
    optimizer: resolveOptimizer(where, options.optimizer ?? "rmsprop"),
    outputs,
    seed: integerOption(where, "seed", options.seed ?? 0, 0),
    mixedPrecision: checkMixedPrecision(where, options.mixedPrecision),
  };
}

/** A compilation as the addon takes it. */
export function compilationDocument({ optimizer, outputs, seed }: Compilation, rate: unknown): CompilationDocument {
  return {
    optimizer: { ...optimizer.document, learningRate: rate },
    outputs: outputs.map(({ loss, weight, metrics, weightedMetrics }) => ({
      loss: loss === null ? null : { ...loss.document, weight },
      metrics: metrics.map((metric) => metric.document),
      weightedMetrics: weightedMetrics.map((metric) => metric.document),
    })),
    seed,
  };
}
