import { InternalError, OptionError } from "../errors.ts";
import type { ModelHandle } from "../native.ts";
import type { Batch } from "../native-interface.ts";
import type { AllowedTokens } from "./options.ts";
import { type DecodedRow, decodedRows, type GenerationRequest } from "./request.ts";

/** What one native search needs. */
export interface Run {
  readonly handle: ModelHandle;
  /** Models that generate together with it. */
  readonly others?: readonly ModelHandle[];
  readonly request: GenerationRequest;
  /** All inputs of the models but the decoders'. */
  readonly inputs: Batch[];
  /** Places of the rows in their call, or in a series of calls. */
  readonly places: readonly number[];
  readonly allowedTokens: AllowedTokens | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Decodes a batch: the sequences of each row. */
export async function decodeBatch({ handle, request, inputs, ...rest }: Run): Promise<DecodedRow[][]> {
  const { places, allowedTokens, signal, others = [] } = rest;
  const json = JSON.stringify({ ...request, streams: places });
  if (allowedTokens === undefined) {
    return decodedRows(await handle.generate(json, inputs, signal, others), request.endId);
  }
  const allowed = allowedBy(allowedTokens, places);
  for await (const { result } of handle.search(json, inputs, { tokens: () => 1, allowed, signal, others })) {
    if (result !== undefined) return decodedRows(result, request.endId);
  }
  throw new InternalError("a search ended without a result");
}

/**
 * Decodes one row and gives its tokens as they become certain, without begin and end.
 *
 * A step makes more tokens the more there are, so that looking at all of them after each costs no square of their number.
 */
export async function* streamRow({
  handle,
  request,
  inputs,
  places,
  allowedTokens,
  signal,
  others = [],
}: Run): AsyncGenerator<{ ids: Int32Array; isLast: boolean }, void, undefined> {
  const constraint = allowedTokens === undefined ? {} : { allowed: allowedBy(allowedTokens, places) };
  const tokens = (made: number) => (allowedTokens === undefined ? 1 + Math.floor(made / 32) : 1);
  const steps = handle.search(JSON.stringify({ ...request, streams: places }), inputs, {
    tokens,
    ...constraint,
    signal,
    others,
  });
  for await (const { stable, result } of steps) {
    if (result === undefined) {
      const end = stable.findIndex((id) => request.endId.includes(id));
      yield { ids: end === -1 ? stable : stable.subarray(0, end), isLast: false };
    } else {
      yield { ids: decodedRows(result, request.endId)[0]![0]!.ids, isLast: true };
    }
  }
}

/** The text of a row in pieces, none of which ends within a character. */
export async function* streamText(
  run: Run,
  textOf: (ids: Int32Array) => string,
): AsyncGenerator<string, void, undefined> {
  let shown = "";
  let count = 0;
  for await (const { ids, isLast } of streamRow(run)) {
    if (!isLast && ids.length === count) continue;
    count = ids.length;
    const text = textOf(ids);
    // The bytes of the last character may not be there yet.
    const whole = isLast ? text : text.replace(/\ufffd+$/u, "");
    // What a later token changes is not shown before it is certain.
    if (whole.length > shown.length && (isLast || whole.startsWith(shown))) {
      yield whole.slice(shown.length);
      shown = whole;
    }
  }
}

function allowedBy(
  allowedTokens: AllowedTokens,
  places: readonly number[],
): (row: number, prefix: Int32Array) => Int32Array {
  return (row, prefix) => {
    const ids = allowedTokens(Array.from(prefix), places[row]!);
    if (!Array.isArray(ids) || ids.some((id) => !Number.isInteger(id))) {
      throw new OptionError("generate: allowedTokens must give a list of ids");
    }
    if (ids.length === 0) throw new OptionError(`generate: allowedTokens allows nothing after [${prefix.join(", ")}]`);
    return Int32Array.from(ids);
  };
}
