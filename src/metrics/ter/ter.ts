import { scored, streamsOf } from "../text/now.ts";
import type { TextReferences } from "../text/references.ts";
import type { Scored, TextMetric } from "../text/text-metric.ts";
import { checkTer, type TerOptions } from "./options.ts";

/** TER of sums. */
export interface TerScore extends Scored {
  /** Edits for 100 words of the references: 0 for what needs none, above 100 for what needs more than the references have words. */
  readonly score: number;
  /** Edits of all segments, shifts included. */
  readonly numEdits: number;
  /** Words of the references, of several of a segment their mean. */
  readonly refLength: number;
}

/** What {@link ter} gives. */
export interface Ter extends TerScore {
  /** How it was computed, in sacreBLEU's form, such as `nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:sconce-0.1.0`. */
  readonly signature: string;
}

/** TER with checked options. */
export function terMetric(where: string, options: TerOptions): TextMetric<TerScore> {
  const checked = checkTer(where, options);
  return {
    name: "ter",
    counts: { ter: checked },
    width: 2,
    score: (sums) => {
      const [numEdits, refLength] = [sums[0]!, sums[1]!];
      return { score: 100 * (refLength > 0 ? numEdits / refLength : numEdits > 0 ? 1 : 0), numEdits, refLength };
    },
    signature: {
      case: checked.caseSensitive ? "mixed" : "lc",
      tok: "tercom",
      norm: checked.normalized,
      punct: !checked.noPunct,
      asian: checked.asianSupport,
    },
  };
}

/**
 * Translation edit rate of a corpus, equal to sacreBLEU's: words that must be inserted, left out or replaced, and shifts of several words,
 * for 100 words of the references. The less, the better.
 *
 * @param hypotheses - Texts as they were generated.
 * @param references - A text for each hypothesis; with several references a list of such lists, one for each set of references.
 * @param options - What is done to texts before they are compared.
 * @returns TER, what it is made of, and the signature to publish with it.
 * @throws OptionError if an option is wrong; DataError if there is nothing to compare, counts differ, or something is no text.
 * @see Snover et al., "A Study of Translation Edit Rate with Targeted Human Annotation" (2006)
 *
 * @example
 * ```ts
 * import { ter } from "sconce";
 *
 * console.log(ter(["on the mat the cat sat"], ["the cat sat on the mat"]).numEdits); // one shift
 * ```
 */
export function ter(hypotheses: readonly string[], references: TextReferences, options: TerOptions = {}): Ter {
  return scored(terMetric("ter", options), hypotheses, references);
}

/**
 * TER of one text.
 *
 * @param hypothesis - A text as it was generated.
 * @param references - What it is compared with, one text or several.
 * @param options - What is done to texts before they are compared.
 * @returns As {@link ter}.
 * @throws As {@link ter}.
 */
export function sentenceTer(hypothesis: string, references: string | readonly string[], options: TerOptions = {}): Ter {
  return ter([hypothesis], streamsOf(references), options);
}
