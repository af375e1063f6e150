import { chrfScore } from "../../native.ts";
import { scored, streamsOf } from "../text/now.ts";
import type { TextReferences } from "../text/references.ts";
import type { Scored, TextMetric } from "../text/text-metric.ts";
import { type ChrfOptions, checkChrf } from "./options.ts";

/** chrF of sums. */
export interface ChrfScore extends Scored {
  /** chrF, from 0 to 100. */
  readonly score: number;
  /** What sacreBLEU calls it, with beta and a plus for each order of words: `"chrF2"`, `"chrF2++"`. */
  readonly name: string;
}

/** What {@link chrf} gives. */
export interface Chrf extends ChrfScore {
  /** How it was computed, in sacreBLEU's form, such as `nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:sconce-0.1.0`. */
  readonly signature: string;
}

/** chrF with checked options. */
export function chrfMetric(where: string, options: ChrfOptions): TextMetric<ChrfScore> {
  const checked = checkChrf(where, options);
  const { charOrder, wordOrder, beta, lowercase, whitespace, epsSmoothing } = checked;
  const document = JSON.stringify(checked);
  const name = `chrF${beta}${"+".repeat(wordOrder)}`;
  return {
    name: "chrf",
    counts: { chrf: checked },
    width: 3 * (charOrder + wordOrder),
    score: (sums) => ({ score: chrfScore(document, sums), name }),
    signature: {
      case: lowercase ? "lc" : "mixed",
      eff: !epsSmoothing,
      nc: charOrder,
      nw: wordOrder,
      space: whitespace,
    },
  };
}

/**
 * chrF of a corpus, or chrF++ with `wordOrder: 2`, equal to sacreBLEU's: the F score of n-grams of characters and words, with recall
 * counting `beta` squared times as much as precision, both means over the orders.
 *
 * Of several references of a segment that with the best score counts, the first of equal ones.
 *
 * @param hypotheses - Texts as they were generated.
 * @param references - A text for each hypothesis; with several references a list of such lists, one for each set of references.
 * @param options - Orders, case, smoothing.
 * @returns chrF from 0 to 100, its name, and the signature to publish with it.
 * @throws OptionError if an option is wrong; DataError if there is nothing to compare, counts differ, or something is no text.
 * @see Popović, "chrF: character n-gram F-score for automatic MT evaluation" (2015) and "chrF++: words helping character n-grams" (2017)
 *
 * @example
 * ```ts
 * import { chrf } from "sconce";
 *
 * const { name, score } = chrf(["The dog bit the man."], ["The dog had bitten the man."], { wordOrder: 2 });
 * console.log(name, score.toFixed(1));
 * ```
 */
export function chrf(hypotheses: readonly string[], references: TextReferences, options: ChrfOptions = {}): Chrf {
  return scored(chrfMetric("chrf", options), hypotheses, references);
}

/**
 * chrF of one text.
 *
 * @param hypothesis - A text as it was generated.
 * @param references - What it is compared with, one text or several.
 * @param options - Orders, case, smoothing.
 * @returns As {@link chrf}.
 * @throws As {@link chrf}.
 */
export function sentenceChrf(
  hypothesis: string,
  references: string | readonly string[],
  options: ChrfOptions = {},
): Chrf {
  return chrf([hypothesis], streamsOf(references), options);
}
