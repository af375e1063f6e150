import type { Dataset } from "../../data/dataset.ts";
import type { TextPair } from "../../data/parallel-text.ts";
import { checkGenerate, checkStream, type Generation } from "../../decoding/options.ts";
import { checkScore, type ScoredTarget, type ScoreOptions } from "../../decoding/score.ts";
import { DataError, OptionError } from "../../errors.ts";
import type { Decoder } from "./decoder.ts";
import type { PairEncoder, Pairs } from "./pairs.ts";
import { scorePairs } from "./score.ts";
import { prefixesOf, type TranslateOptions } from "./translate-options.ts";

/** What `generate` of a translator does. */
export function translateTexts(
  decoder: Decoder,
  texts: readonly string[],
  { targetPrefix, ...rest }: TranslateOptions,
): Promise<Generation[]> {
  const decoding = checkGenerate(rest);
  if (!Array.isArray(texts)) throw new OptionError("generate: expected a list of texts");
  return decoder.generate(texts, decoding, prefixesOf(targetPrefix, texts.length));
}

/** What `stream` of a translator does. */
export async function* streamTranslation(
  decoder: Decoder,
  text: string,
  { targetPrefix, ...rest }: Omit<TranslateOptions, "batchSize" | "numReturnSequences">,
): AsyncGenerator<string, void, undefined> {
  const decoding = checkStream(rest);
  const [prefix] = prefixesOf(targetPrefix, 1);
  if (typeof text !== "string") throw new DataError("stream: expected a text");
  yield* decoder.stream(text, decoding, prefix ?? "");
}

/** What `score` of a translator does. */
export async function scoreTranslations(
  decoder: Decoder,
  encoder: PairEncoder,
  pairs: Exclude<Pairs, Dataset<TextPair>>,
  options: ScoreOptions,
): Promise<ScoredTarget[]> {
  const checked = checkScore(options);
  await decoder.build(checked.signal);
  const scored: ScoredTarget[] = [];
  for await (const block of encoder.blocks("score", pairs, undefined, checked.signal)) {
    scored.push(...(await scorePairs(block, { ...checked, encoder, decoder })));
  }
  return scored;
}
