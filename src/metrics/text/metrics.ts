import { checkKeys } from "../../options.ts";
import { answerMetric } from "../answers/answer-metric.ts";
import { bleuMetric } from "../bleu/bleu.ts";
import { type BleuOptions, checkBleu } from "../bleu/options.ts";
import { chrfMetric } from "../chrf/chrf.ts";
import { type ChrfOptions, checkChrf } from "../chrf/options.ts";
import { checkRouge, type RougeType, type RougeWordOptions, rougeKeys } from "../rouge/options.ts";
import { rougeMetric } from "../rouge/rouge.ts";
import { checkTer, type TerOptions } from "../ter/options.ts";
import { terMetric } from "../ter/ter.ts";
import type { Scored, TextMetric } from "./text-metric.ts";

/**
 * A metric of generated text: BLEU; chrF, and chrF++ with n-grams of up to two words; TER; F1 of ROUGE; share of right answers and their F1 by
 * the rules of SQuAD and of CMRC 2018.
 */
export type TextMetricName =
  | "bleu"
  | "chrf"
  | "chrf++"
  | "ter"
  | "rouge1"
  | "rouge2"
  | "rougeL"
  | "rougeLsum"
  | "squadExactMatch"
  | "squadF1"
  | "cmrcExactMatch"
  | "cmrcF1";

/** Options of the metrics that have some. */
export interface TextMetricOptions {
  /** How BLEU is computed. */
  bleu?: BleuOptions;
  /** How chrF and chrF++ are computed; `wordOrder` of the latter is 2 unless it is given. */
  chrf?: ChrfOptions;
  /** How TER is computed. */
  ter?: TerOptions;
  /** How ROUGE cuts texts into words. */
  rouge?: RougeWordOptions;
}

/** Names of the options of metrics. */
export const textMetricKeys: readonly (keyof TextMetricOptions)[] = ["bleu", "chrf", "ter", "rouge"];

type Maker = (where: string, options: object) => TextMetric<Scored>;

const rougeOf =
  (type: RougeType): Maker =>
  (where, options) =>
    rougeMetric(where, { ...options, types: [type] });

/** Makes each metric, and says whose options it has. */
const makers: Readonly<Record<TextMetricName, readonly [Maker, keyof TextMetricOptions | undefined]>> = {
  bleu: [bleuMetric, "bleu"],
  chrf: [chrfMetric, "chrf"],
  "chrf++": [(where, options) => chrfMetric(where, { wordOrder: 2, ...options }), "chrf"],
  ter: [terMetric, "ter"],
  rouge1: [rougeOf("rouge1"), "rouge"],
  rouge2: [rougeOf("rouge2"), "rouge"],
  rougeL: [rougeOf("rougeL"), "rouge"],
  rougeLsum: [rougeOf("rougeLsum"), "rouge"],
  squadExactMatch: [answerMetric("squad", "exactMatch"), undefined],
  squadF1: [answerMetric("squad", "f1"), undefined],
  cmrcExactMatch: [answerMetric("cmrc", "exactMatch"), undefined],
  cmrcF1: [answerMetric("cmrc", "f1"), undefined],
};

/** Names of all metrics of generated text. */
export const textMetricNames = Object.keys(makers) as readonly TextMetricName[];

/**
 * A metric with its options.
 *
 * @throws OptionError if one is unknown or wrong.
 */
export function textMetric(where: string, name: TextMetricName, options: object): TextMetric<Scored> {
  const [make, group] = makers[name];
  if (group === undefined) checkKeys(where, options, []);
  return make(where, options);
}

/** Whose options a metric has. */
export function optionsGroup(name: TextMetricName): keyof TextMetricOptions | undefined {
  return makers[name][1];
}

/**
 * Checks the options of metrics, whichever are computed.
 *
 * @throws OptionError if one is unknown or wrong.
 */
export function checkTextMetricOptions(where: string, { bleu, chrf, ter, rouge }: TextMetricOptions): void {
  if (bleu !== undefined) checkBleu(`${where}: bleu`, bleu, false);
  if (chrf !== undefined) checkChrf(`${where}: chrf`, chrf);
  if (ter !== undefined) checkTer(`${where}: ter`, ter);
  if (rouge === undefined) return;
  checkKeys(`${where}: rouge`, rouge, rougeKeys);
  checkRouge(`${where}: rouge`, rouge);
}
