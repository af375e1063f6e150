import type { Decoding } from "../../decoding/options.ts";
import { DataError } from "../../errors.ts";
import { withTokenizersFor } from "../../metrics/text/language.ts";
import type { TextMetricName, TextMetricOptions } from "../../metrics/text/metrics.ts";
import { scoreTexts, type TextScores } from "../../metrics/text/score-texts.ts";
import type { Decoder } from "./decoder.ts";
import type { PairEncoder, Pairs } from "./pairs.ts";

/** Pairs with what was made of their sources. */
export interface Translations {
  /** What was generated. */
  readonly hypotheses: readonly string[];
  /** The targets, as they were given. */
  readonly references: readonly string[];
  /** How many of the former are the latter, read as tokens. */
  readonly matches: number;
}

/** What is translated, and how. */
export interface TranslationRequest {
  readonly encoder: PairEncoder;
  readonly decoder: Decoder;
  readonly decoding: Decoding;
  /** Pairs with a longer side are left out. */
  readonly maxLength: number | undefined;
  /** Most pairs; the first ones. */
  readonly limit: number;
}

/**
 * Translates the sources of pairs.
 *
 * @throws DataError if there are none; what the decoder throws.
 */
export async function translations(
  where: string,
  pairs: Pairs,
  { encoder, decoder, decoding, maxLength, limit }: TranslationRequest,
): Promise<Translations> {
  const { target } = encoder;
  const { unknown } = target.vocabulary;
  const hypotheses: string[] = [];
  const references: string[] = [];
  let matches = 0;
  for await (const block of encoder.blocks(where, pairs, maxLength, decoding.signal)) {
    const some = block.slice(0, limit - hypotheses.length);
    const made = await decoder.generate(
      some.map(({ text }) => text.source),
      decoding,
    );
    for (const [index, { text, ids }] of some.entries()) {
      const own = made[index]!.text;
      hypotheses.push(own);
      references.push(text.target);
      // A reference with a word that is not in the vocabulary cannot be reached.
      const reference = ids.target.subarray(1, -1);
      if (!reference.includes(unknown) && target.decode(reference) === own) matches += 1;
    }
    if (hypotheses.length >= limit) break;
  }
  if (hypotheses.length === 0) throw new DataError(`${where}: there are no sentence pairs`);
  return { hypotheses, references, matches };
}

/** Scores of translations; BLEU and ROUGE cut Chinese references into characters unless their options say otherwise. */
export function scoresOf(
  { hypotheses, references }: Pick<Translations, "hypotheses" | "references">,
  metrics: readonly TextMetricName[],
  options: TextMetricOptions,
  signal: AbortSignal | undefined,
): Promise<TextScores> {
  return scoreTexts(hypotheses, references, {
    ...withTokenizersFor(references, options),
    metrics,
    ...(signal === undefined ? {} : { signal }),
  });
}
