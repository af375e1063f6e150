import { checkGenerate, type Decoding, type GenerateOptions, generateOptions } from "../../decoding/options.ts";
import { OptionError } from "../../errors.ts";
import type { BleuOptions } from "../../metrics/bleu/options.ts";
import type { RougeWordOptions } from "../../metrics/rouge/options.ts";
import {
  checkTextMetricOptions,
  type TextMetricName,
  type TextMetricOptions,
  textMetricKeys,
  textMetricNames,
} from "../../metrics/text/metrics.ts";
import { checkKeys, integerOption, nameOption } from "../../options.ts";
import type { Callback } from "../../training/callbacks/callback.ts";
import type { Logs } from "../../training/history.ts";
import { prefixed } from "../../training/names.ts";
import { scoresOf, type Translations } from "./translations.ts";

/** What `Seq2Seq.fit` can find out by translating the pairs that validate. */
export type ValidationMetric = TextMetricName | "exactMatch";

/** How `Seq2Seq.fit` translates the pairs that validate. */
export interface ValidationGenerationOptions
  extends Omit<GenerateOptions, "signal" | "recompute">,
    Omit<TextMetricOptions, "bleu" | "rouge"> {
  /** Epochs from one translation to the next, at least 1; default 1. */
  every?: number;
  /** How many of the pairs are translated, the first ones; at least 1, default all. */
  pairs?: number;
  /** How BLEU is computed; `tokenize` is by default `"zh"` if the references are Chinese, else `"13a"`. */
  bleu?: BleuOptions;
  /** How ROUGE cuts texts into words; `tokenizer` is by default `"zh"` if the references are Chinese, else `"default"`. */
  rouge?: RougeWordOptions;
}

/** What can be found out by translating. */
export const validationMetrics: readonly ValidationMetric[] = [...textMetricNames, "exactMatch"];

/** Checked options, with defaults. */
export interface CheckedGeneration {
  readonly metrics: readonly ValidationMetric[];
  readonly every: number;
  readonly limit: number;
  readonly scoring: TextMetricOptions;
  readonly decoding: Decoding;
}

/**
 * Checks the options `validationMetrics` and `validationGeneration` of `Seq2Seq.fit`.
 *
 * @returns Nothing if no metric is wanted.
 * @throws OptionError if something is wrong.
 */
export function checkGeneration(
  metrics: unknown,
  options: ValidationGenerationOptions | undefined,
  signal: AbortSignal | undefined,
): CheckedGeneration | undefined {
  if (metrics !== undefined && !Array.isArray(metrics)) {
    throw new OptionError("fit: validationMetrics must be a list of names");
  }
  const names = ((metrics ?? []) as unknown[]).map((name) =>
    nameOption("fit", "validationMetrics", name, validationMetrics),
  );
  if (names.length === 0) {
    if (options === undefined) return undefined;
    throw new OptionError('fit: validationGeneration needs validationMetrics, such as ["bleu"]');
  }
  const where = "fit: validationGeneration";
  const others = ["signal", "recompute", "outputAttentions"];
  const own = generateOptions.filter((name) => !others.includes(name));
  checkKeys(where, options ?? {}, ["every", "pairs", ...textMetricKeys, ...own]);
  const { every, pairs, bleu = {}, chrf = {}, ter = {}, rouge = {}, ...rest } = options ?? {};
  const scoring = { bleu, chrf, ter, rouge };
  checkTextMetricOptions(where, scoring);
  return {
    metrics: names,
    every: integerOption(where, "every", every ?? 1, 1),
    limit: pairs === undefined ? Number.POSITIVE_INFINITY : integerOption(where, "pairs", pairs, 1),
    scoring,
    decoding: checkGenerate(signal === undefined ? rest : { ...rest, signal }),
  };
}

/** Logs what the translations of some pairs are like after an epoch. */
export class GeneratedValidation implements Callback {
  readonly adds: readonly string[];
  readonly #options: CheckedGeneration;
  readonly #translate: () => Promise<Translations>;

  /** @param translate - Translates the pairs with the weights as they are. */
  constructor(options: CheckedGeneration, translate: () => Promise<Translations>) {
    this.#options = options;
    this.#translate = translate;
    this.adds = options.metrics.map((name) => prefixed("val", name));
  }

  async onEpochEnd(epoch: number, logs: Logs): Promise<void> {
    const { metrics, every, scoring, decoding } = this.#options;
    if ((epoch + 1) % every !== 0) return;
    const made = await this.#translate();
    const texts = metrics.filter((name) => name !== "exactMatch");
    const scores = texts.length === 0 ? {} : await scoresOf(made, texts, scoring, decoding.signal);
    for (const name of metrics) {
      const value = name === "exactMatch" ? made.matches / made.hypotheses.length : scores[name]!.score;
      logs[prefixed("val", name)] = value;
    }
  }
}
