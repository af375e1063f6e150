import { checkedTexts, type TextReferences } from "./references.ts";
import { segmentsOf, statistics, summed } from "./statistics.ts";
import { type Scored, signatureOf, type TextMetric } from "./text-metric.ts";

/** The score of all segments with its signature, counted at once. */
export function scored<Score extends Scored>(
  metric: TextMetric<Score>,
  hypotheses: readonly string[],
  references: TextReferences,
): Score & { signature: string } {
  const texts = checkedTexts(metric.name, hypotheses, references);
  const table = statistics(metric, [texts])[0]!;
  return { ...metric.score(summed(table), segmentsOf(table)), signature: signatureOf(metric, texts.counts) };
}

/** References of one hypothesis as those of a corpus. */
export function streamsOf(references: string | readonly string[]): TextReferences {
  if (typeof references === "string") return [references];
  return Array.isArray(references) ? references.map((text) => [text]) : (references as TextReferences);
}
