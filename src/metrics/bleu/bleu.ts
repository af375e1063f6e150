import { environment } from "../../native.ts";
import { type BleuOptions, type CheckedBleu, checkBleu, hasValue } from "./options.ts";
import { type BleuReferences, checkedTexts } from "./references.ts";
import { type BleuScore, scoreOf } from "./score.ts";
import { type SegmentStatistics, segmentReferences, segmentStatistics, summed } from "./statistics.ts";
import { bleuTokenizers, withoutEnd } from "./tokenizers.ts";

/** What {@link bleu} gives. */
export interface Bleu extends BleuScore {
  /**
   * How it was computed, in sacreBLEU's form, such as `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:sconce-0.1.0`. All but the
   * version, which names what computed it, is what sacreBLEU writes for the same options.
   */
  readonly signature: string;
}

/**
 * BLEU of a corpus, equal to sacreBLEU's: `bp exp(mean_n log precision_n)` over n-grams of 1 to 4 words of all segments together.
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
export function bleu(hypotheses: readonly string[], references: BleuReferences, options: BleuOptions = {}): Bleu {
  const where = "bleu";
  const checked = checkBleu(where, options, false);
  const texts = checkedTexts(where, hypotheses, references);
  const segments = corpusStatistics(texts.hypotheses, texts.references, checked);
  return {
    ...scoreOf(summed(segments, checked.maxNgramOrder), checked),
    signature: signatureOf(texts.references, checked),
  };
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
  const streams = (typeof references === "string" ? [references] : references).map((text) => [text]);
  return bleu([hypothesis], streams, { effectiveOrder: true, ...options });
}

/** Statistics of each segment. */
export function corpusStatistics(
  hypotheses: readonly string[],
  references: readonly (readonly string[])[],
  { tokenize, lowercase, maxNgramOrder }: CheckedBleu,
): SegmentStatistics[] {
  const words = (text: string) => bleuTokenizers[tokenize](withoutEnd(lowercase ? text.toLowerCase() : text));
  return hypotheses.map((hypothesis, index) =>
    segmentStatistics(
      words(hypothesis),
      segmentReferences(references[index]!.map(words), maxNgramOrder),
      maxNgramOrder,
    ),
  );
}

/** How the score was computed; `extra` says what was done besides. */
export function signatureOf(
  references: readonly (readonly string[])[],
  { lowercase, effectiveOrder, tokenize, smoothMethod, smoothValue }: CheckedBleu,
  extra: Readonly<Record<string, string | number>> = {},
): string {
  const counts = new Set(references.map(({ length }) => length));
  const fields = {
    nrefs: counts.size === 1 ? [...counts][0]! : "var",
    ...extra,
    case: lowercase ? "lc" : "mixed",
    eff: effectiveOrder ? "yes" : "no",
    tok: tokenize,
    smooth: hasValue(smoothMethod) ? `${smoothMethod}[${smoothValue.toFixed(2)}]` : smoothMethod,
    version: `sconce-${environment().version}`,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}:${value}`)
    .join("|");
}
