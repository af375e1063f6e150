import { DataError } from "../../errors.ts";
import { type TokenizerHandle, TokenizerTrainerHandle } from "../../native.ts";
import { blocksOf, checkTexts, inBlocks, type Texts } from "./blocks.ts";
import { type CheckedOptions, checkOptions, type TokenizerOptions, type TokenizerProgress } from "./options.ts";

/** Milliseconds between two reports. */
const pause = 50;

/** What follows counting. */
const stages = { word: "count", character: "count", bpe: "merge", wordPiece: "merge", unigram: "prune" } as const;

/** Trains a tokenizer on the addon's threads; what {@link Tokenizer.train} does. */
export async function train(
  where: string,
  texts: Texts,
  options: TokenizerOptions,
): Promise<{ handle: TokenizerHandle; checked: CheckedOptions }> {
  const checked = checkOptions(where, options);
  checkTexts(where, texts);
  options.signal?.throwIfAborted();
  const trainer = new TokenizerTrainerHandle(JSON.stringify(checked));
  const failing = new AbortController();
  const signal = options.signal === undefined ? failing.signal : AbortSignal.any([options.signal, failing.signal]);
  let number = 0;
  let last = Number.NEGATIVE_INFINITY;
  const report = (stage: TokenizerProgress["stage"], tokens: number, isLast = false): void => {
    if (options.onProgress === undefined || (!isLast && performance.now() - last < pause)) return;
    last = performance.now();
    const size = checked.vocabularySize;
    options.onProgress({ stage, texts: number, tokens, ...(size === null ? {} : { vocabularySize: size }) });
  };
  await inBlocks(
    blocksOf(where, texts),
    async (block) => {
      await trainer.add(block, signal);
      return block.length;
    },
    (length) => {
      number += length;
      report("count", 0);
    },
  );
  if (number === 0) throw new DataError(`${where}: there are no texts`);
  const stage = stages[checked.type];
  const timer = setInterval(() => {
    try {
      report(stage, trainer.tokens());
    } catch (error) {
      failing.abort(error);
    }
  }, pause);
  try {
    const handle = await trainer.finish(signal);
    report(stage, trainer.tokens(), true);
    return { handle, checked };
  } finally {
    clearInterval(timer);
  }
}
