import { checkGenerate, type Decoding, type GenerateOptions, generateOptions } from "../../decoding/options.ts";
import { OptionError } from "../../errors.ts";
import { type BleuOptions, checkBleu } from "../../metrics/bleu/options.ts";
import { checkKeys, integerOption, nameOption } from "../../options.ts";
import type { Callback } from "../../training/callbacks/callback.ts";
import type { Logs } from "../../training/history.ts";
import { prefixed } from "../../training/names.ts";
import { bleuOf, type Translations } from "./translations.ts";

/** What `Seq2Seq.fit` can find out by translating the pairs that validate. */
export type ValidationMetric = "bleu" | "exactMatch";

/** How `Seq2Seq.fit` translates the pairs that validate. */
export interface ValidationGenerationOptions extends Omit<GenerateOptions, "signal" | "recompute"> {
  /** Epochs from one translation to the next, at least 1; default 1. */
  every?: number;
  /** How many of the pairs are translated, the first ones; at least 1, default all. */
  pairs?: number;
  /** How BLEU is computed; `tokenize` is by default `"zh"` if the references are Chinese, else `"13a"`. */
  bleu?: BleuOptions;
}

const validationMetrics: readonly ValidationMetric[] = ["bleu", "exactMatch"];

/** Checked options, with defaults. */
export interface CheckedGeneration {
  readonly metrics: readonly ValidationMetric[];
  readonly every: number;
  readonly limit: number;
  readonly bleu: BleuOptions;
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
  const decoding = generateOptions.filter((name) => name !== "signal" && name !== "recompute");
  checkKeys(where, options ?? {}, ["every", "pairs", "bleu", ...decoding]);
  const { every, pairs, bleu = {}, ...rest } = options ?? {};
  checkBleu(`${where}: bleu`, bleu, false);
  return {
    metrics: names,
    every: integerOption(where, "every", every ?? 1, 1),
    limit: pairs === undefined ? Number.POSITIVE_INFINITY : integerOption(where, "pairs", pairs, 1),
    bleu,
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
    const { metrics, every, bleu } = this.#options;
    if ((epoch + 1) % every !== 0) return;
    const made = await this.#translate();
    const values: Readonly<Record<ValidationMetric, () => number>> = {
      bleu: () => bleuOf(made, bleu).score,
      exactMatch: () => made.matches / made.hypotheses.length,
    };
    for (const name of metrics) logs[prefixed("val", name)] = values[name]();
  }
}
