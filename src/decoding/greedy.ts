import type { GenerateResult } from "../native-interface.ts";

/** What the native `generate` is asked for. */
export interface GreedyRequest {
  /** Place of the decoder's input. */
  decoderInput: number;
  /** Place of the output. */
  output: number;
  beginId: number;
  /** Ids that end a sequence. */
  endId: number[];
  padId: number;
  maxNewTokens: number;
  feed: "ids" | "oneHot";
  /** Whether the whole prefix is computed anew for each token: the slow oracle of the incremental decoder. */
  recompute: boolean;
  /** Ids behind the first one that each row has before any is generated; only of models without an encoder. */
  prompts?: number[][];
}

/** A decoded sequence. */
export interface DecodedRow {
  /** Ids without begin and end. */
  ids: Int32Array;
  /** Sum of log-probabilities. */
  score: number;
  /** For each id the shares of the source's ids, if they are wanted. */
  attention?: Float32Array[];
}

/** The sequences of a native result. */
export function decodedRows(
  { ids, lengths, scores, maxLength }: GenerateResult,
  endIds: readonly number[],
): DecodedRow[] {
  return Array.from(lengths, (length, row) => {
    const start = row * maxLength;
    const ended = length > 0 && endIds.includes(ids[start + length - 1]!);
    return { ids: ids.slice(start, start + length - (ended ? 1 : 0)), score: scores[row]! };
  });
}
