import { DataError } from "../../errors.ts";
import { checkKeys } from "../../options.ts";
import { type Comparison, compareLater } from "./bootstrap.ts";
import { type BootstrapOptions, bootstrapKeys, checkBootstrap } from "./draws.ts";
import type { TextMetricName } from "./metrics.ts";
import { checkedTexts, type TextReferences } from "./references.ts";
import { checkScoring, type ScoreTextsOptions, scored, scoringKeys, type TextScores, tablesOf } from "./score-texts.ts";

/** Options of {@link scoreSystems}. */
export interface ScoreSystemsOptions extends ScoreTextsOptions {
  /** Compares each system with the first one, as {@link pairedBootstrap} does; default: they are not compared. */
  paired?: BootstrapOptions;
}

/** What {@link scoreSystems} says of a system. */
export interface SystemScores {
  /** Its scores, by the names of the metrics. */
  readonly scores: TextScores;
  /** How it compares with the first system, by the names of the metrics; only with `paired`, and not of the first. */
  readonly comparisons?: Readonly<Partial<Record<TextMetricName, Comparison>>>;
}

/**
 * Scores of the texts of several systems: those that {@link scoreTexts} gives each, and comparisons, but what the references have in common
 * with them is counted once, and the event loop stays free.
 *
 * @param systems - Texts of each system, at least one, as many as there are of the others.
 * @param references - As for {@link scoreTexts}.
 * @param options - As for {@link scoreTexts}, and whether systems are compared.
 * @returns Scores and comparisons of each system, in their order.
 * @throws OptionError if an option is wrong; DataError if there is nothing to compare, counts differ, or something is no text.
 *
 * @example
 * ```ts
 * import { scoreSystems } from "sconce";
 *
 * const references = ["the dog bit the man", "it was not unexpected"];
 * const systems = [["the dog bit a man", "it was"], references];
 * const [first, second] = await scoreSystems(systems, references, { metrics: ["chrf"], paired: { samples: 100 } });
 * console.log(first?.scores.chrf?.score, second?.comparisons?.chrf?.pValue);
 * ```
 */
export async function scoreSystems(
  systems: readonly (readonly string[])[],
  references: TextReferences,
  options: ScoreSystemsOptions = {},
): Promise<SystemScores[]> {
  const where = "scoreSystems";
  checkKeys(where, options, [...scoringKeys, "paired"]);
  const { paired, ...others } = options;
  const checked = checkScoring(where, others);
  if (paired !== undefined) checkKeys(`${where}: paired`, paired, bootstrapKeys);
  const drawn = paired === undefined ? undefined : checkBootstrap(`${where}: paired`, paired);
  if (!Array.isArray(systems) || systems.length === 0) {
    throw new DataError(`${where}: systems must be a list of at least one list of texts`);
  }
  const texts = systems.map((hypotheses, index) => checkedTexts(`${where}: systems[${index}]`, hypotheses, references));
  const tables = await tablesOf(texts, checked);
  const scores = await scored(texts, checked, tables);
  const all: SystemScores[] = [];
  for (const [number, own] of scores.entries()) {
    if (drawn === undefined || number === 0) {
      all.push({ scores: own });
      continue;
    }
    const comparisons: [TextMetricName, Comparison][] = [];
    for (const [index, [name, metric]] of checked.metrics.entries()) {
      const [first, table] = [tables[index]![0]!, tables[index]![number]!];
      comparisons.push([name, await compareLater(first, table, metric.score, drawn, checked.signal)]);
    }
    all.push({ scores: own, comparisons: Object.fromEntries(comparisons) });
  }
  return all;
}
