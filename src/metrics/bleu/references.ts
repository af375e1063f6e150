import { DataError } from "../../errors.ts";

/**
 * Texts that hypotheses are compared with: a text for each hypothesis, or, as sacreBLEU has it, several such lists, each with a text for
 * each hypothesis, or `null` where that list has none.
 */
export type BleuReferences = readonly string[] | readonly (readonly (string | null)[])[];

/**
 * The hypotheses, and the references of each.
 *
 * @throws DataError if there is nothing to compare, counts differ, or something is no text.
 */
export function checkedTexts(
  where: string,
  hypotheses: readonly string[],
  references: BleuReferences,
): { hypotheses: readonly string[]; references: string[][] } {
  checkTexts(where, "hypotheses", hypotheses, false);
  if (hypotheses.length === 0) throw new DataError(`${where}: there are no hypotheses`);
  if (!Array.isArray(references) || references.length === 0) {
    throw new DataError(`${where}: references must be a list of texts, or a list of such lists`);
  }
  const streams = (Array.isArray(references[0]) ? references : [references]) as (readonly (string | null)[])[];
  for (const [index, stream] of streams.entries()) {
    const name = streams.length === 1 ? "references" : `references[${index}]`;
    checkTexts(where, name, stream, true);
    if (stream.length === hypotheses.length) continue;
    const remedy =
      streams.length > 1 && streams.length === hypotheses.length
        ? "; with several references each list holds one reference of every hypothesis"
        : "";
    throw new DataError(
      `${where}: expected ${hypotheses.length} texts in ${name}, one for each hypothesis, got ${stream.length}${remedy}`,
    );
  }
  const own = hypotheses.map((_, index) => streams.flatMap((stream) => stream[index] ?? []));
  const missing = own.findIndex((texts) => texts.length === 0);
  if (missing >= 0) throw new DataError(`${where}: hypothesis ${missing} has no reference`);
  return { hypotheses, references: own };
}

function checkTexts(where: string, name: string, texts: unknown, allowsNull: boolean): void {
  if (!Array.isArray(texts)) throw new DataError(`${where}: ${name} must be a list of texts`);
  const wrong = texts.findIndex((text) => typeof text !== "string" && !(allowsNull && text === null));
  if (wrong >= 0) throw new DataError(`${where}: ${name}[${wrong}] is no text`);
}
