import type { Dataset } from "../../data/dataset.ts";
import type { Tokenizer } from "../../data/tokenizer.ts";
import { checkGenerate, type Decoding, type GenerateOptions } from "../../decoding/options.ts";
import { DataError, OptionError } from "../../errors.ts";
import type { BleuOptions } from "../../metrics/bleu/options.ts";
import type { RougeWordOptions } from "../../metrics/rouge/options.ts";
import {
  checkTextMetricOptions,
  type TextMetricName,
  type TextMetricOptions,
  textMetricKeys,
  textMetricNames,
} from "../../metrics/text/metrics.ts";
import type { TextScores } from "../../metrics/text/score-texts.ts";
import { checkKeys, checkSignal, integerOption, nameOption } from "../../options.ts";
import { judged } from "../../training/source.ts";
import { testRequest } from "../../training/step-request.ts";
import type { Model } from "../model.ts";
import { batchOf, tokensOf } from "./batches.ts";
import type { Decoder } from "./decoder.ts";
import { checkTrained } from "./fit.ts";
import type { EncodedPair } from "./pairs.ts";
import type { Roles } from "./roles.ts";
import { scoresOf, type Translations } from "./translations.ts";

/** What `Seq2Seq.evaluate` can find out. */
export type EvaluationMetric = "loss" | "perplexity" | "tokenAccuracy" | "exactMatch" | TextMetricName;

const standard: readonly EvaluationMetric[] = ["loss", "perplexity", "tokenAccuracy", "exactMatch"];
const evaluationMetrics: readonly EvaluationMetric[] = [...standard, ...textMetricNames];

/** Options of `Seq2Seq.evaluate`. */
export interface Seq2SeqEvaluateOptions extends TextMetricOptions {
  /** Pairs in a batch, at least 1; default 64. */
  batchSize?: number;
  /** Pairs with a longer side are left out, in tokens with the end token; default no limit. */
  maxLength?: number;
  /**
   * What is wanted; default `"loss"`, `"perplexity"`, `"tokenAccuracy"` and `"exactMatch"`. `"exactMatch"` and the metrics of text
   * translate every source, which takes longest; the others come together.
   */
  metrics?: readonly EvaluationMetric[];
  /** How sources are translated for metrics of text; default as `Seq2Seq.generate` does. */
  generate?: Omit<GenerateOptions, "signal">;
  /** How BLEU is computed; `tokenize` is by default `"zh"` if the references are Chinese, else `"13a"`. */
  bleu?: BleuOptions;
  /** How ROUGE cuts texts into words; `tokenizer` is by default `"zh"` if the references are Chinese, else `"default"`. */
  rouge?: RougeWordOptions;
  /** Stops between two batches, or two tokens; the rejection is its reason. */
  signal?: AbortSignal;
}

/** What `Seq2Seq.evaluate` gives; means are over target tokens, the end tokens included, but for `exactMatch`. */
export interface Evaluation {
  /** Mean loss of a token. */
  loss: number;
  /** `exp` of the mean cross-entropy of a token, without label smoothing if the model was compiled with `"perplexity"`. */
  perplexity: number;
  /** Share of tokens that are the most probable one, given the tokens before; only if the model was compiled with `"accuracy"`. */
  tokenAccuracy?: number;
  /** Share of pairs whose translation is the reference; only if it was asked for. */
  exactMatch?: number;
  /** BLEU of the translations, from 0 to 100, equal to sacreBLEU's; only if it was asked for. */
  bleu?: number;
  /** chrF and chrF++, from 0 to 100, equal to sacreBLEU's. */
  chrf?: number;
  /** chrF++, from 0 to 100. */
  "chrf++"?: number;
  /** Translation edit rate: edits for 100 words of the references. */
  ter?: number;
  /** F1 of words, from 0 to 1, as rouge-score has it. */
  rouge1?: number;
  /** F1 of pairs of words. */
  rouge2?: number;
  /** F1 of longest common subsequences. */
  rougeL?: number;
  /** F1 of longest common subsequences of sentences, one on each line. */
  rougeLsum?: number;
  /** Share of answers that are right by the rules of SQuAD 2.0, from 0 to 100. */
  squadExactMatch?: number;
  /** F1 of the words of answers, from 0 to 100. */
  squadF1?: number;
  /** Share of answers that are right by the rules of CMRC 2018, from 0 to 100. */
  cmrcExactMatch?: number;
  /** F1 of the longest run of characters and words, from 0 to 100. */
  cmrcF1?: number;
  /** How the metrics of text were computed, in sacreBLEU's form; publish them with the numbers. */
  signatures?: Partial<Record<TextMetricName, string>>;
  /** Count of tokens. */
  tokens: number;
  /** Count of pairs. */
  pairs: number;
}

/** Checked options, with defaults. */
export interface CheckedEvaluate {
  readonly batchSize: number;
  readonly maxLength: number | undefined;
  readonly exactMatch: boolean;
  /** Metrics of text. */
  readonly texts: readonly TextMetricName[];
  readonly scoring: TextMetricOptions;
  readonly decoding: Decoding;
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of `Seq2Seq.evaluate`. */
export function checkEvaluate(options: Seq2SeqEvaluateOptions): CheckedEvaluate {
  const where = "evaluate";
  checkKeys(where, options, ["batchSize", "maxLength", "metrics", "generate", ...textMetricKeys, "signal"]);
  checkSignal(where, options.signal);
  const { maxLength, metrics = standard, signal, bleu = {}, chrf = {}, ter = {}, rouge = {} } = options;
  if (!Array.isArray(metrics)) throw new OptionError(`${where}: metrics must be a list of names`);
  for (const name of metrics) nameOption(where, "metrics", name, evaluationMetrics);
  const texts = textMetricNames.filter((name) => metrics.includes(name));
  const generated: readonly (keyof Seq2SeqEvaluateOptions)[] = [...textMetricKeys, "generate"];
  const useless = generated.find((key) => texts.length === 0 && options[key] !== undefined);
  if (useless !== undefined) {
    throw new OptionError(`${where}: ${useless} is an option of metrics of text: put one into metrics, such as "bleu"`);
  }
  const scoring = { bleu, chrf, ter, rouge };
  checkTextMetricOptions(where, scoring);
  return {
    texts,
    scoring,
    decoding: checkGenerate({ ...options.generate, ...(signal === undefined ? {} : { signal }) }),
    batchSize: integerOption(where, "batchSize", options.batchSize ?? 64, 1),
    maxLength: maxLength === undefined ? undefined : integerOption(where, "maxLength", maxLength, 1),
    exactMatch: metrics.includes("exactMatch"),
    signal,
  };
}

/**
 * Values of a translator, or of several together, with metrics of texts if these are wanted.
 *
 * @param values - Computes all but what is found in translations made for metrics of texts.
 * @param translate - Makes these translations.
 */
export async function evaluated(
  checked: CheckedEvaluate,
  values: (checked: CheckedEvaluate) => Promise<Evaluation>,
  translate: () => Promise<Translations>,
): Promise<Evaluation> {
  const { texts, scoring, signal } = checked;
  if (texts.length === 0) return values(checked);
  const found = await values({ ...checked, exactMatch: false });
  const made = await translate();
  const scores = await scoresOf(made, texts, scoring, signal);
  const exactMatch = checked.exactMatch ? { exactMatch: made.matches / made.hypotheses.length } : {};
  return { ...found, ...exactMatch, ...textValues(scores) };
}

/** What is evaluated. */
interface Subject {
  readonly model: Model;
  readonly roles: Roles;
  readonly decoder: Decoder;
  readonly source: Tokenizer;
  readonly target: Tokenizer;
}

/** Values and signatures of metrics of text, as `evaluate` gives them. */
export function textValues(scores: TextScores): Pick<Evaluation, TextMetricName | "signatures"> {
  const entries = Object.entries(scores);
  const of = <Value>(field: (score: (typeof entries)[number][1]) => Value) =>
    Object.fromEntries(entries.map(([name, score]) => [name, field(score)]));
  return { ...of(({ score }) => score), signatures: of(({ signature }) => signature) };
}

/** Runs a compiled model over batches of pairs. */
export async function evaluateBatches(
  { model, roles, decoder, source, target }: Subject,
  batches: Dataset<EncodedPair[]>,
  { exactMatch, batchSize, signal }: CheckedEvaluate,
): Promise<Evaluation> {
  const { output } = roles;
  checkTrained(model, output);
  await model.build(signal === undefined ? {} : { signal });
  const trained = model.trainedOutputs.filter((_, index) => index === output);
  const metrics = trained[0]!.metrics.map(({ name }) => name);
  const accuracy = metrics.indexOf("accuracy");
  const perplexity = metrics.indexOf("perplexity");
  const sizes = { source: source.vocabulary.size, target: target.vocabulary.size };
  const sums = { tokens: 0, pairs: 0, loss: 0, accuracy: 0, crossEntropy: 0, matches: 0 };
  for await (const items of batches) {
    signal?.throwIfAborted();
    const data = await judged(batchOf(items, roles, sizes), "evaluate: ", model.inputSpecifications, trained);
    const result = await model.trainer().testOnBatch(testRequest(model, data), signal);
    const own = result.outputs[output]!;
    // Each value is a mean over the real tokens of the batch: the others are masked, or there are none.
    const real = tokensOf(items);
    const mean = (metric: number) => own.metrics[metric]!.total / own.metrics[metric]!.count;
    sums.tokens += real;
    sums.pairs += items.length;
    sums.loss += own.loss * real;
    sums.crossEntropy += (perplexity === -1 ? own.loss : mean(perplexity)) * real;
    if (accuracy !== -1) sums.accuracy += mean(accuracy) * real;
    if (exactMatch) {
      const read = items.map((pair) => ({ sources: [pair.source], target: pair.target }));
      sums.matches += await countMatches(read, decoder, target, batchSize, signal);
    }
  }
  const { tokens, pairs } = sums;
  if (tokens === 0) throw new DataError("evaluate: there are no sentence pairs");
  return {
    loss: sums.loss / tokens,
    perplexity: Math.exp(sums.crossEntropy / tokens),
    ...(accuracy === -1 ? {} : { tokenAccuracy: sums.accuracy / tokens }),
    ...(exactMatch ? { exactMatch: sums.matches / pairs } : {}),
    tokens,
    pairs,
  };
}

/** How many translations are the references. A reference with a word that is not in the vocabulary cannot be reached. */
export async function countMatches(
  items: readonly { readonly sources: readonly Int32Array[]; readonly target: Int32Array }[],
  decoder: Decoder,
  target: Tokenizer,
  batchSize: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const sources = items.map((pair) => pair.sources);
  // What is longer than the longest reference, end token included, is none of them.
  const maxNewTokens = Math.max(...items.map((pair) => pair.target.length)) - 1;
  const options = { maxNewTokens, batchSize, ...(signal === undefined ? {} : { signal }) };
  const rows = await decoder.decode(sources, checkGenerate(options));
  const { unknown } = target.vocabulary;
  return items.filter((pair, index) => {
    const reference = pair.target.subarray(1, -1);
    return !reference.includes(unknown) && target.decode(reference) === target.decode(rows[index]![0]!.ids);
  }).length;
}
