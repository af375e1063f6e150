import type { GenerateResult } from "../native-interface.ts";
import type { Decoding } from "./options.ts";

/** What changes the scores of tokens; see {@link GenerateOptions}. */
export interface ProcessorRequest {
  repetitionPenalty?: number;
  noRepeatNgramSize?: number;
  encoderNoRepeatNgramSize?: number;
  badWordsIds?: readonly (readonly number[])[];
  minNewTokens?: number;
  forcedBosTokenId?: number;
  forcedEosTokenId?: readonly number[];
  suppressTokens?: readonly number[];
}

/** How tokens are chosen; see {@link GenerateOptions}. */
export interface SearchRequest {
  numBeams: number;
  lengthPenalty: number;
  earlyStopping: boolean | "never";
  numReturnSequences: number;
  returnAlternatives: boolean;
  /** Absent: the best tokens are taken. */
  sampling?: { seed: number; temperature: number; topK: number; topP: number; minP: number; typicalP: number };
}

/** How the other models of an ensemble are read, and what is taken of the probabilities of all. */
export interface EnsembleRequest {
  readonly others: readonly Pick<ModelRequest, "decoderInput" | "output" | "feed">[];
  /** Of all models; absent: all the same. */
  readonly weights?: readonly number[];
  readonly mean: "arithmetic" | "geometric";
}

/** How a model is read. */
export interface ModelRequest {
  /** Place of the decoder's input. */
  decoderInput: number;
  /** Place of the output. */
  output: number;
  beginId: number;
  /** Ids that end a sequence. */
  endId: readonly number[];
  padId: number;
  feed: "ids" | "oneHot";
  /** Of models that choose tokens together. */
  ensemble?: EnsembleRequest;
}

/** What the native `generate` is asked for. */
export interface GenerationRequest extends ModelRequest {
  maxNewTokens: number;
  /** Whether the whole prefix is computed anew for each token: the slow oracle of the incremental decoder. */
  recompute: boolean;
  /** Ids behind the first one that each row has before any is generated. */
  prompts?: number[][];
  /** What each row was made from, for `encoderNoRepeatNgramSize`. */
  sources?: number[][];
  /** The stream of random numbers of each row. */
  streams?: readonly number[];
  processors?: ProcessorRequest;
  search?: SearchRequest;
}

/** The request of a call. */
export function requestOf(model: ModelRequest, decoding: Decoding): GenerationRequest {
  const { maxNewTokens, recompute, endIds, processors, search } = decoding;
  return { ...model, endId: endIds ?? model.endId, maxNewTokens, recompute, processors, search };
}

/** A request for nothing but how a decoder is treated. */
export function inspectionOf(model: ModelRequest): GenerationRequest {
  return { ...model, maxNewTokens: 1, recompute: false };
}

/** A decoded sequence. */
export interface DecodedRow {
  /** Ids without begin and end. */
  ids: Int32Array;
  /** What sequences are ranked by. */
  score: number;
  /** Of each token, then that of the end token if there is one. */
  logProbabilities: Float32Array;
  /** For each id, the given ones included, the shares of the source's ids, if they are wanted. */
  attention?: Float32Array[];
}

/** The sequences of a native result: those of each source, the best first. */
export function decodedRows(result: GenerateResult, endIds: readonly number[]): DecodedRow[][] {
  const { ids, lengths, scores, logProbabilities, counts, maxLength } = result;
  let row = 0;
  return Array.from(counts, (count) =>
    Array.from({ length: count }, () => {
      const start = row * maxLength;
      const length = lengths[row]!;
      const ended = length > 0 && endIds.includes(ids[start + length - 1]!);
      const score = scores[row]!;
      row += 1;
      return {
        ids: ids.slice(start, start + length - (ended ? 1 : 0)),
        score,
        logProbabilities: logProbabilities.slice(start, start + length),
      };
    }),
  );
}
