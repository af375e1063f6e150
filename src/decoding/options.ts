import { OptionError } from "../errors.ts";
import { booleanOption, checkKeys, checkSignal, integerOption, nameOption, numberOption } from "../options.ts";
import type { ProcessorRequest, SearchRequest } from "./request.ts";

/**
 * Options of `generate`, by the names and with the meaning that they have in Hugging Face's `generate` (version 5.23), in
 * camelCase. Without any the most probable token is taken at each step.
 */
export interface GenerateOptions {
  /** Most tokens of a sequence, the end token included; at least 1, default 128. */
  maxNewTokens?: number;
  /** Fewest tokens before an end token; at least 0, at most `maxNewTokens`, default 0. */
  minNewTokens?: number;
  /** Sequences that beam search goes on with at each step; at least 1, default 1: no beam search. */
  numBeams?: number;
  /**
   * Power of the length (end token included) that the sum of log-probabilities is divided by in beam search: above 0 longer
   * sequences are preferred, below 0 shorter ones; default 1.
   */
  lengthPenalty?: number;
  /**
   * When beam search ends: `true` when `numBeams` sequences have ended; `false` when no running one, by its present length, is better than the worst of
   * them; `"never"` when none can become better; default `false`.
   */
  earlyStopping?: boolean | "never";
  /** Sequences of each text, the best first (drawn ones in the order of drawing); at most `numBeams` in beam search without `returnAlternatives`, default 1. */
  numReturnSequences?: number;
  /**
   * Whether `numReturnSequences` says how many of the best tokens come first, each once, in the order of their probability: every sequence is
   * the best, by greedy or beam search, that begins with its own. With `targetPrefix` these are the alternatives at that place. Default `false`.
   */
  returnAlternatives?: boolean;
  /** Draws tokens by their probabilities; default `true` if one of `temperature`, `topK`, `topP`, `minP` and `typicalP` is given, else `false`. */
  doSample?: boolean;
  /**
   * Names the random numbers, an integer of at least 0, default 0. The same seed gives the same sequences, whatever else is
   * decoded at the same time; texts of one call have numbers of their own by their place.
   */
  seed?: number;
  /** The place of the first text, for a call that goes on with the texts of another one: places are counted from it; at least 0, default 0. */
  firstIndex?: number;
  /** What scores are divided by before a token is drawn, above 0, default 1. */
  temperature?: number;
  /** Only so many of the best tokens may be drawn; 0: all; default 50. */
  topK?: number;
  /** Only the best tokens that have this probability together may be drawn, from 0 to 1; default 1: all. */
  topP?: number;
  /** Only tokens with at least this share of the probability of the best one may be drawn, from 0 to 1; default 0: all. */
  minP?: number;
  /** Only tokens about as surprising as is to be expected, with this probability together, may be drawn (Meister et al. 2023); above 0 to 1, default 1: all. */
  typicalP?: number;
  /** Scores of tokens that a sequence has are divided by it if they are positive, else multiplied; above 0, default 1: nothing. */
  repetitionPenalty?: number;
  /** No sequence of so many tokens comes twice; at least 0, default 0: any may. */
  noRepeatNgramSize?: number;
  /** No sequence of so many tokens of the source comes, whose ids must mean the same on both sides; at least 0, default 0. */
  encoderNoRepeatNgramSize?: number;
  /** Sequences of ids that are not generated. */
  badWordsIds?: readonly (readonly number[])[];
  /** Ids that are never generated. */
  suppressTokens?: readonly number[];
  /** The id that comes first. */
  forcedBosTokenId?: number;
  /** The id, or one of the ids, at the last of `maxNewTokens` places. */
  forcedEosTokenId?: number | readonly number[];
  /** The id, or the ids, that end a sequence; default the end token. */
  eosTokenId?: number | readonly number[];
  /**
   * The ids that may follow what a sequence has so far, its ids behind the begin token; `index` is the place of the text in the call. Each step waits
   * for the answers, and the texts of the call are decoded by themselves. Where other options exclude all that is allowed, for every beam of a
   * text, it comes all the same, with log-probability 0 each in beam search.
   */
  allowedTokens?: (prefix: readonly number[], index: number) => readonly number[];
  /** Whether the log-probability of each token comes too; default `false`. */
  returnLogProbabilities?: boolean;
  /** Texts that are decoded together, at least 1; default 32. The result does not depend on it. */
  batchSize?: number;
  /**
   * Computes the whole prefix anew for each token instead of going on from the last one: slow, for checks of the
   * incremental decoder; default `false`.
   */
  recompute?: boolean;
  /**
   * Whether each result says which tokens of the source each of its own looks at; default `false`. Of models whose decoder attends to
   * the source; the model runs once more over the whole result.
   */
  outputAttentions?: boolean;
  /** Stops between two tokens; the rejection is its reason. */
  signal?: AbortSignal;
}

/** One of the sequences that `generate` makes of a text. */
export interface GeneratedSequence {
  /** The tokens as text. */
  text: string;
  /** The tokens, without begin and end. */
  tokens: string[];
  /**
   * Sum of the natural logarithms of the tokens' probabilities, that of the end token included; in beam search divided by the `lengthPenalty`-th
   * power of their number. What options exclude or change is excluded or changed before probabilities are taken, in beam search after that,
   * as in Hugging Face's `compute_transition_scores`.
   */
  score: number;
  /** The terms of that sum: of each token, then of the end token if it was reached; only with `returnLogProbabilities`. */
  logProbabilities?: number[];
  /**
   * With `outputAttentions`: for each of `tokens` the shares of the source's tokens (in the order and number in which the model reads
   * them, the end token included), from the decoder's last attention to the source, the mean over its heads.
   */
  attention?: Float32Array[];
}

/** What `generate` makes of a text. */
export interface Generation extends GeneratedSequence {
  /** The others of `numReturnSequences`; fewer if there are no more. */
  alternatives?: GeneratedSequence[];
}

/** Which tokens may follow what a sequence has. */
export type AllowedTokens = NonNullable<GenerateOptions["allowedTokens"]>;

/** Checked options, with defaults. */
export interface Decoding {
  readonly maxNewTokens: number;
  readonly batchSize: number;
  readonly recompute: boolean;
  readonly outputAttentions: boolean;
  readonly signal: AbortSignal | undefined;
  readonly returnLogProbabilities: boolean;
  /** Other ends than the model's. */
  readonly endIds: readonly number[] | undefined;
  /** The place of the first text. */
  readonly firstIndex: number;
  readonly allowedTokens: AllowedTokens | undefined;
  readonly processors: ProcessorRequest;
  readonly search: SearchRequest;
}

const where = "generate";
const sampling = ["temperature", "topK", "topP", "minP", "typicalP"] as const;
/** Names of the options. */
export const generateOptions: readonly string[] = [
  "maxNewTokens",
  "minNewTokens",
  "numBeams",
  "lengthPenalty",
  "earlyStopping",
  "numReturnSequences",
  "returnAlternatives",
  "doSample",
  "seed",
  "firstIndex",
  ...sampling,
  "repetitionPenalty",
  "noRepeatNgramSize",
  "encoderNoRepeatNgramSize",
  "badWordsIds",
  "suppressTokens",
  "forcedBosTokenId",
  "forcedEosTokenId",
  "eosTokenId",
  "allowedTokens",
  "returnLogProbabilities",
  "batchSize",
  "recompute",
  "outputAttentions",
  "signal",
];

/** A number above 0. */
function positive(name: string, value: unknown, maximum?: number): number {
  const found = numberOption(where, name, value, 0, maximum);
  if (found === 0) throw new OptionError(`${where}: ${name} must be above 0, got 0`);
  return found;
}

function idsOption(name: string, value: unknown): number[] {
  if (!Array.isArray(value)) throw new OptionError(`${where}: ${name} must be a list of ids`);
  return value.map((id) => integerOption(where, name, id, 0));
}

function idOrIdsOption(name: string, value: unknown): number[] {
  return typeof value === "number" ? [integerOption(where, name, value, 0)] : idsOption(name, value);
}

function badWordsOption(value: unknown): number[][] {
  if (!Array.isArray(value)) throw new OptionError(`${where}: badWordsIds must be a list of lists of ids`);
  return value.map((word) => {
    const ids = idsOption("badWordsIds", word);
    if (ids.length === 0) throw new OptionError(`${where}: badWordsIds has an empty list`);
    return ids;
  });
}

function checkProcessors(options: GenerateOptions, maxNewTokens: number): ProcessorRequest {
  const minNewTokens = integerOption(where, "minNewTokens", options.minNewTokens ?? 0, 0);
  if (minNewTokens > maxNewTokens) {
    throw new OptionError(`${where}: minNewTokens (${minNewTokens}) must be at most maxNewTokens (${maxNewTokens})`);
  }
  const { forcedBosTokenId, forcedEosTokenId, suppressTokens, badWordsIds } = options;
  return {
    minNewTokens,
    repetitionPenalty: positive("repetitionPenalty", options.repetitionPenalty ?? 1),
    noRepeatNgramSize: integerOption(where, "noRepeatNgramSize", options.noRepeatNgramSize ?? 0, 0),
    encoderNoRepeatNgramSize: integerOption(
      where,
      "encoderNoRepeatNgramSize",
      options.encoderNoRepeatNgramSize ?? 0,
      0,
    ),
    ...(badWordsIds === undefined ? {} : { badWordsIds: badWordsOption(badWordsIds) }),
    ...(suppressTokens === undefined ? {} : { suppressTokens: idsOption("suppressTokens", suppressTokens) }),
    ...(forcedBosTokenId === undefined
      ? {}
      : { forcedBosTokenId: integerOption(where, "forcedBosTokenId", forcedBosTokenId, 0) }),
    ...(forcedEosTokenId === undefined
      ? {}
      : { forcedEosTokenId: idOrIdsOption("forcedEosTokenId", forcedEosTokenId) }),
  };
}

function checkSearch(options: GenerateOptions): SearchRequest {
  const numBeams = integerOption(where, "numBeams", options.numBeams ?? 1, 1);
  const numReturnSequences = integerOption(where, "numReturnSequences", options.numReturnSequences ?? 1, 1);
  const given = sampling.filter((name) => options[name] !== undefined);
  const doSample = booleanOption(where, "doSample", options.doSample ?? given.length > 0);
  if (!doSample && given.length > 0) {
    throw new OptionError(`${where}: ${given.join(" and ")} would do nothing: doSample is false`);
  }
  const returnAlternatives = booleanOption(where, "returnAlternatives", options.returnAlternatives ?? false);
  if (returnAlternatives && doSample) {
    throw new OptionError(`${where}: returnAlternatives goes on with the best tokens, but doSample draws them`);
  }
  if (!returnAlternatives && numBeams > 1 && numReturnSequences > numBeams) {
    throw new OptionError(
      `${where}: numReturnSequences must be at most numBeams (${numBeams}), got ${numReturnSequences}`,
    );
  }
  if (!returnAlternatives && numBeams === 1 && numReturnSequences > 1 && !doSample) {
    throw new OptionError(
      `${where}: numReturnSequences is ${numReturnSequences}, but greedy search gives one: use numBeams or doSample`,
    );
  }
  const { earlyStopping = false } = options;
  const draws = {
    seed: integerOption(where, "seed", options.seed ?? 0, 0),
    temperature: positive("temperature", options.temperature ?? 1),
    topK: integerOption(where, "topK", options.topK ?? 50, 0),
    topP: numberOption(where, "topP", options.topP ?? 1, 0, 1),
    minP: numberOption(where, "minP", options.minP ?? 0, 0, 1),
    typicalP: positive("typicalP", options.typicalP ?? 1, 1),
  };
  return {
    numBeams,
    numReturnSequences,
    returnAlternatives,
    lengthPenalty: numberOption(where, "lengthPenalty", options.lengthPenalty ?? 1),
    earlyStopping: nameOption<string | boolean>(where, "earlyStopping", earlyStopping, [true, false, "never"]) as
      | boolean
      | "never",
    ...(doSample ? { sampling: draws } : {}),
  };
}

/** Checks the options of `generate`. */
export function checkGenerate(options: GenerateOptions): Decoding {
  checkKeys(where, options, generateOptions);
  checkSignal(where, options.signal);
  const { allowedTokens, eosTokenId } = options;
  if (allowedTokens !== undefined && typeof allowedTokens !== "function") {
    throw new OptionError(`${where}: allowedTokens must be a function`);
  }
  const maxNewTokens = integerOption(where, "maxNewTokens", options.maxNewTokens ?? 128, 1);
  return {
    maxNewTokens,
    batchSize: integerOption(where, "batchSize", options.batchSize ?? 32, 1),
    recompute: booleanOption(where, "recompute", options.recompute ?? false),
    outputAttentions: booleanOption(where, "outputAttentions", options.outputAttentions ?? false),
    signal: options.signal,
    returnLogProbabilities: booleanOption(where, "returnLogProbabilities", options.returnLogProbabilities ?? false),
    endIds: eosTokenId === undefined ? undefined : idOrIdsOption("eosTokenId", eosTokenId),
    firstIndex: integerOption(where, "firstIndex", options.firstIndex ?? 0, 0),
    allowedTokens,
    processors: checkProcessors(options, maxNewTokens),
    search: checkSearch(options),
  };
}

/** Checks the options of `stream`. */
export function checkStream(options: GenerateOptions): Decoding {
  const decoding = checkGenerate(options);
  const { numReturnSequences } = decoding.search;
  if (numReturnSequences > 1) throw new OptionError(`stream: one sequence comes, not ${numReturnSequences}`);
  return decoding;
}
