import { scored, streamsOf } from "../text/now.ts";
import type { TextReferences } from "../text/references.ts";
import type { TextMetric } from "../text/text-metric.ts";
import { type BleuOptions, checkBleu, hasValue } from "./options.ts";
import { type BleuScore, scoreOf, sumsOf } from "./score.ts";

/** What {@link bleu} gives. */
export interface Bleu extends BleuScore {
  /**
   * How it was computed, in sacreBLEU's form, such as `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:sconce-0.1.0`. All but the
   * version, which names what computed it, is what sacreBLEU writes for the same options.
   */
  readonly signature: string;
}

/** BLEU with checked options. */
export function bleuMetric(where: string, options: BleuOptions): TextMetric<BleuScore> {
  const checked = checkBleu(where, options, false);
  const { tokenize, lowercase, maxNgramOrder, effectiveOrder, smoothMethod, smoothValue } = checked;
  return {
    name: "bleu",
    counts: { bleu: { tokenize, lowercase, maxNgramOrder } },
    width: 2 + 2 * maxNgramOrder,
    score: (sums) => scoreOf(sumsOf(sums, maxNgramOrder), checked),
    signature: {
      case: lowercase ? "lc" : "mixed",
      eff: effectiveOrder,
      tok: tokenize,
      smooth: hasValue(smoothMethod) ? `${smoothMethod}[${smoothValue.toFixed(2)}]` : smoothMethod,
    },
  };
}

/**
 * BLEU of a corpus, equal to sacreBLEU's: `bp exp(mean_n log precision_n)` over n-grams of 1 to 4 words of all segments together.
 *
 * It counts at once; {@link scoreTexts} counts on other threads.
 *
 * @param hypotheses - Texts as they were generated, not tokenised.
 * @param references - A text for each hypothesis; with several references a list of such lists, one for each set of references.
 * @param options - Tokenisation, case, smoothing.
 * @returns BLEU from 0 to 100, what it is made of, and the signature to publish with it.
 * @throws OptionError if an option is wrong; DataError if there is nothing to compare, counts differ, or something is no text.
 * @see Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002); Post, "A Call for Clarity in
 *   Reporting BLEU Scores" (2018)
 *
 * @example
 * ```ts
 * import { bleu } from "sconce";
 *
 * const { score, signature } = bleu(["The dog bit the man."], ["The dog had bitten the man."]);
 * console.log(score.toFixed(1), signature);
 * ```
 */
export function bleu(hypotheses: readonly string[], references: TextReferences, options: BleuOptions = {}): Bleu {
  return scored(bleuMetric("bleu", options), hypotheses, references);
}

/**
 * BLEU of one text; `effectiveOrder` is on unless it is said otherwise, as in sacreBLEU.
 *
 * @param hypothesis - A text as it was generated.
 * @param references - What it is compared with, one text or several.
 * @param options - Tokenisation, case, smoothing.
 * @returns As {@link bleu}.
 * @throws As {@link bleu}.
 */
export function sentenceBleu(
  hypothesis: string,
  references: string | readonly string[],
  options: BleuOptions = {},
): Bleu {
  return bleu([hypothesis], streamsOf(references), { effectiveOrder: true, ...options });
}
