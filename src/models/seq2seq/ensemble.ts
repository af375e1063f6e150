import { Dataset } from "../../data/dataset.ts";
import type { TextPair } from "../../data/parallel-text.ts";
import type { Tokenizer } from "../../data/tokenizer.ts";
import type { Generation } from "../../decoding/options.ts";
import type { ScoredTarget, ScoreOptions } from "../../decoding/score.ts";
import { OptionError } from "../../errors.ts";
import { checkKeys, nameOption, numberOption } from "../../options.ts";
import { Decoder, type Translating } from "./decoder.ts";
import { evaluateTogether } from "./ensemble-evaluation.ts";
import { checkEvaluate, type Evaluation, evaluated, type Seq2SeqEvaluateOptions } from "./evaluate.ts";
import { type Pairs, textOf } from "./pairs.ts";
import { scoreTranslations, streamTranslation, translateTexts } from "./translate.ts";
import type { TranslateOptions } from "./translate-options.ts";
import { translations } from "./translations.ts";

/** Options of {@link Seq2Seq.ensemble}. */
export interface EnsembleOptions {
  /** The weight of each translator in the mean, above 0; only their ratios count. Default all the same. */
  weights?: readonly number[];
  /**
   * What is taken of the probabilities of the next token: `"arithmetic"`, their mean, as fairseq does; `"geometric"`, the mean of their logarithms,
   * brought to sum 1, which OpenNMT-py and Marian do not do. Default `"arithmetic"`.
   */
  mean?: "arithmetic" | "geometric";
}

const where = "Seq2Seq.ensemble";

/**
 * Translators that choose every token together: the search sees the mean of the probabilities that they give to the next one. Made by
 * {@link Seq2Seq.ensemble}; the translators can be used by themselves as before, and are disposed of by themselves.
 */
export class Seq2SeqEnsemble {
  /** Tokenizer of the texts that are written. */
  readonly target: Tokenizer;
  readonly #first: Translating;
  readonly #decoder: Decoder;

  /** @internal */
  constructor(all: readonly Translating[], options: EnsembleOptions) {
    checkKeys(where, options, ["weights", "mean"]);
    const { weights, mean = "arithmetic" } = options;
    const [first, ...others] = all;
    if (first === undefined) throw new OptionError(`${where}: there are no translators`);
    for (const [index, other] of others.entries()) checkTogether(first, other, index + 1);
    checkSources(all);
    this.#first = first;
    this.target = first.encoder.target;
    this.#decoder = new Decoder(first, others, {
      mean: nameOption(where, "mean", mean, ["arithmetic", "geometric"]),
      ...(weights === undefined ? {} : { weights: checkWeights(weights, all.length) }),
    });
  }

  /**
   * Translates as {@link Seq2Seq.generate} does, with the probabilities of all translators. `encoderNoRepeatNgramSize` looks at the source
   * as the first translator reads it.
   *
   * @param texts - Any texts; an empty or blank one gives the empty text with score 0.
   * @param options - Search, limits, signal; `outputAttentions` is of single translators.
   * @returns One result for each text, in their order.
   * @throws OptionError if an option is wrong, contradicts another or leaves no token to choose; DataError if an item is no string.
   */
  async generate(texts: readonly string[], options: TranslateOptions = {}): Promise<Generation[]> {
    return translateTexts(this.#decoder, texts, options);
  }

  /**
   * Translates a text and gives the translation in pieces while it is made, as {@link Seq2Seq.stream} does.
   *
   * @param text - Any text.
   * @param options - Search, limits, signal.
   * @returns Pieces which together are the text that {@link Seq2SeqEnsemble.generate} gives.
   * @throws OptionError if an option is wrong; DataError if `text` is no string.
   */
  stream(
    text: string,
    options: Omit<TranslateOptions, "batchSize" | "numReturnSequences"> = {},
  ): AsyncGenerator<string, void, undefined> {
    return streamTranslation(this.#decoder, text, options);
  }

  /**
   * The log-probabilities of given targets by the mean of all translators, as {@link Seq2Seq.score} gives those of one.
   *
   * @param pairs - Sources with targets.
   * @param options - Batches, signal.
   * @returns One result for each pair, in their order.
   * @throws OptionError if an option is wrong or these are no pairs; DataError if a side is no string.
   */
  async score(pairs: Exclude<Pairs, Dataset<TextPair>>, options: ScoreOptions = {}): Promise<ScoredTarget[]> {
    return scoreTranslations(this.#decoder, this.#first.encoder, pairs, options);
  }

  /**
   * What {@link Seq2Seq.evaluate} says of one translator, of all together: every value is of the mean of their probabilities. `loss` is the
   * mean cross-entropy of a token, whose `exp` is `perplexity`, however the translators were trained; they need not be compiled.
   *
   * @param pairs - Pairs with references; `maxLength` counts tokens as the first translator reads them.
   * @param options - Batches, what is wanted, signal.
   * @throws OptionError if an option is wrong or these are no pairs; DataError if there are none, or a side is no string.
   */
  async evaluate(pairs: Pairs, options: Seq2SeqEvaluateOptions = {}): Promise<Evaluation> {
    const checked = checkEvaluate(options);
    const { maxLength, decoding } = checked;
    // A list that can be run through only once is run through twice.
    const all = pairs instanceof Dataset ? pairs : textOf("evaluate", pairs);
    const subject = { encoder: this.#first.encoder, decoder: this.#decoder };
    const limit = Number.POSITIVE_INFINITY;
    return evaluated(
      checked,
      (wanted) => evaluateTogether(subject, all, wanted),
      () => translations("evaluate", all, { ...subject, decoding, maxLength, limit }),
    );
  }
}

function checkWeights(weights: readonly number[], count: number): readonly number[] {
  if (!Array.isArray(weights) || weights.length !== count) {
    throw new OptionError(`${where}: weights must be a list of ${count} numbers, one for each translator`);
  }
  return weights.map((weight) => {
    if (numberOption(where, "weights", weight, 0) > 0) return weight as number;
    throw new OptionError(`${where}: weights must be above 0, got ${String(weight)}`);
  });
}

/** Tokens must mean the same to all. */
function checkTogether({ encoder: first }: Translating, { encoder: other }: Translating, index: number): void {
  const [own, others] = [first.target.vocabulary, other.target.vocabulary];
  const refuse = (what: string) => {
    throw new OptionError(`${where}: translator ${index} has ${what} than translator 0`);
  };
  if (own.size !== others.size) refuse(`another number of tokens of the target (${others.size}, not ${own.size})`);
  const place = own.tokens.findIndex((token, id) => token !== others.tokens[id]);
  if (place !== -1) refuse(`another token ${place} of the target (${JSON.stringify(others.tokens[place])})`);
  if (
    own.padding !== others.padding ||
    first.frame.begin !== other.frame.begin ||
    first.frame.end !== other.frame.end
  ) {
    refuse("other padding, begin or end tokens");
  }
}

/** Sources without a mask come together by their length, which must be one for all. */
function checkSources(all: readonly Translating[]): void {
  const [first, ...rest] = all.filter(({ roles }) => !roles.masked);
  if (first === undefined) return;
  const reader = ({ encoder: { source, sourceEnd } }: Translating) => JSON.stringify([source, sourceEnd]);
  if (rest.some((other) => other.encoder !== first.encoder && reader(other) !== reader(first))) {
    throw new OptionError(`${where}: translators that do not mask padding need the same tokenizer of the source`);
  }
}
