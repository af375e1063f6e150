import { type ParallelText, type RecurrentSeq2SeqOptions, Seq2Seq, Tokenizer } from "../index.ts";
import type { ResolvedConfig } from "./config/config.ts";

/** Trains the tokenizers that a configuration describes. */
export async function trainTokenizers(
  { tokenizers: { joint, minimumCount, source, target } }: ResolvedConfig,
  pairs: ParallelText,
  signal: AbortSignal,
): Promise<{ source: Tokenizer; target: Tokenizer }> {
  const trained = (lines: readonly string[], options: NonNullable<typeof target>) => {
    const { type, vocabularySize, lowercase, chineseWords } = options;
    return Tokenizer.train(lines, {
      type,
      minimumCount,
      ...(lowercase === undefined ? {} : { lowercase }),
      ...(chineseWords === undefined ? {} : { chineseWords }),
      ...(vocabularySize === undefined ? {} : { vocabularySize }),
      signal,
    });
  };
  const first = await trained(joint ? [...pairs.sources(), ...pairs.targets()] : pairs.sources(), source);
  return { source: first, target: target === undefined ? first : await trained(pairs.targets(), target) };
}

/** The translator that a configuration describes, not trained yet. */
export function makeTranslator({ model }: ResolvedConfig, source: Tokenizer, target: Tokenizer): Seq2Seq {
  if (model.type === "transformer") {
    const { type: _, ...options } = model;
    return Seq2Seq.transformer({ ...options, source, target, name: "translator" });
  }
  const { type: _, sourceEmbeddings, targetEmbeddings, encoderUnits, bridge, inputFeeding, ...options } = model;
  return Seq2Seq.recurrent({
    ...options,
    source,
    target,
    ...(encoderUnits === undefined ? {} : { encoderUnits }),
    ...(bridge === undefined ? {} : { bridge }),
    ...(inputFeeding === undefined ? {} : { inputFeeding }),
    // Names of initialisers are checked by the layer.
    ...(sourceEmbeddings === undefined ? {} : embeddings("sourceEmbeddings", sourceEmbeddings)),
    ...(targetEmbeddings === undefined ? {} : embeddings("targetEmbeddings", targetEmbeddings)),
    name: "translator",
  });
}

function embeddings(side: "sourceEmbeddings" | "targetEmbeddings", start: string): Partial<RecurrentSeq2SeqOptions> {
  return { [side]: start };
}
