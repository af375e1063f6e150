import type { TranslateOptions } from "../index.ts";
import { type Arguments, numberFlag, textFlag } from "./arguments.ts";
import { UsageError } from "./command.ts";

/** Flags on how translations are searched for, as `parseArgs` takes them. */
export const searchFlags = {
  beams: { type: "string" },
  "length-penalty": { type: "string" },
  "early-stopping": { type: "string" },
  "n-best": { type: "string" },
  alternatives: { type: "boolean" },
  "min-new-tokens": { type: "string" },
  "no-repeat-ngram": { type: "string" },
  "repetition-penalty": { type: "string" },
  sample: { type: "boolean" },
  seed: { type: "string" },
  temperature: { type: "string" },
  "top-k": { type: "string" },
  "top-p": { type: "string" },
  "min-p": { type: "string" },
  "typical-p": { type: "string" },
  prefix: { type: "string" },
} as const;

/** The lines of a help text on {@link searchFlags}. */
export const searchHelp = `  --beams N                beam search with so many sequences, default that of the run, else 1: the best token at each step
  --length-penalty X       scores are divided by this power of the length in beam search, default that of the run, else 1
  --early-stopping WHEN    when beam search ends: true, false or never, as in Hugging Face's generate; default false
  --n-best N               translations of each line, the best first, at most as many as beams; default 1
  --alternatives           the N best begin with the N best tokens behind the prefix, each with another one
  --min-new-tokens N       fewest tokens of a translation, default 0
  --no-repeat-ngram N      no sequence of so many tokens comes twice
  --repetition-penalty X   above 1: tokens that are there become less probable
  --sample                 draw tokens by their probabilities
  --seed N                 names the random numbers, default 0
  --temperature X          what scores are divided by before a token is drawn, default 1
  --top-k N, --top-p X     only the N best tokens (default 50, 0: all), or those with probability X together, may be drawn
  --min-p X, --typical-p X only tokens with this share of the best one's probability, or locally typical ones, may be drawn
  --prefix TEXT            what every translation begins with
`;

const endings: Readonly<Record<string, boolean | "never">> = { true: true, false: false, never: "never" };

function earlyStopping(args: Arguments): boolean | "never" | undefined {
  const text = textFlag(args, "early-stopping");
  if (text === undefined) return undefined;
  if (Object.hasOwn(endings, text)) return endings[text]!;
  throw new UsageError(`--early-stopping must be true, false or never, got ${text}`);
}

/**
 * The options that flags give.
 *
 * @throws UsageError if one is out of range.
 */
export function searchOptions(args: Arguments): TranslateOptions {
  const given: { [Name in keyof TranslateOptions]: TranslateOptions[Name] | undefined } = {
    numBeams: numberFlag(args, "beams", 1),
    lengthPenalty: numberFlag(args, "length-penalty", Number.NEGATIVE_INFINITY, "number"),
    earlyStopping: earlyStopping(args),
    numReturnSequences: numberFlag(args, "n-best", 1),
    returnAlternatives: args.values.alternatives === true ? true : undefined,
    minNewTokens: numberFlag(args, "min-new-tokens", 0),
    noRepeatNgramSize: numberFlag(args, "no-repeat-ngram", 0),
    repetitionPenalty: numberFlag(args, "repetition-penalty", 0, "number"),
    doSample: args.values.sample === true ? true : undefined,
    seed: numberFlag(args, "seed", 0),
    temperature: numberFlag(args, "temperature", 0, "number"),
    topK: numberFlag(args, "top-k", 0),
    topP: numberFlag(args, "top-p", 0, "number"),
    minP: numberFlag(args, "min-p", 0, "number"),
    typicalP: numberFlag(args, "typical-p", 0, "number"),
    targetPrefix: textFlag(args, "prefix"),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
