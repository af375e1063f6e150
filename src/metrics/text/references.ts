import { DataError } from "../../errors.ts";

/**
 * Texts that hypotheses are compared with: a text for each hypothesis, or, as sacreBLEU has it, several such lists, each with a text for
 * each hypothesis, or `null` where that list has none.
 */
export type TextReferences = readonly string[] | readonly (readonly (string | null)[])[];

/** Hypotheses, and the references of all of them one after the other. */
export interface CheckedTexts {
  readonly hypotheses: readonly string[];
  readonly references: readonly string[];
  /** How many references each hypothesis has. */
  readonly counts: Uint32Array;
}

/**
 * The hypotheses, and the references of each.
 *
 * @throws DataError if there is nothing to compare, counts differ, or something is no text.
 */
export function checkedTexts(where: string, hypotheses: readonly string[], references: TextReferences): CheckedTexts {
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
  const flat: string[] = [];
  const counts = Uint32Array.from(hypotheses, (_, index) => {
    const before = flat.length;
    for (const stream of streams) {
      const text = stream[index];
      if (typeof text === "string") flat.push(text);
    }
    return flat.length - before;
  });
  const missing = counts.indexOf(0);
  if (missing >= 0) throw new DataError(`${where}: hypothesis ${missing} has no reference`);
  return { hypotheses, references: flat, counts };
}

/** Known to Node since version 20, but not to this version of the language's library. */
type WithWellFormed = string & { isWellFormed(): boolean };

function checkTexts(where: string, name: string, texts: unknown, allowsNull: boolean): void {
  if (!Array.isArray(texts)) throw new DataError(`${where}: ${name} must be a list of texts`);
  for (let index = 0; index < texts.length; index++) {
    const text: unknown = texts[index];
    if (typeof text !== "string") {
      if (allowsNull && text === null) continue;
      throw new DataError(`${where}: ${name}[${index}] is no text`);
    }
    if (!(text as WithWellFormed).isWellFormed()) {
      throw new DataError(`${where}: ${name}[${index}] has a lone surrogate: half of a character`);
    }
  }
}
