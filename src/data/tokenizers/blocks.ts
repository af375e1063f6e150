import { setImmediate } from "node:timers/promises";
import { DataError, OptionError } from "../../errors.ts";

/** Texts that go to the addon in one call: little enough to be copied in about a millisecond. */
const blockTexts = 1024;
const blockLength = 1 << 17;

/** Texts from anywhere, one after the other. */
export type Texts = Iterable<string> | AsyncIterable<string>;

/** Throws OptionError if these are no texts. */
export function checkTexts(where: string, texts: unknown): void {
  const isIterable = typeof texts === "object" && texts !== null && (Symbol.iterator in texts || isAsync(texts));
  if (!isIterable) throw new OptionError(`${where}: expected an array or an (async) iterable of texts`);
}

function isAsync(texts: object): texts is AsyncIterable<string> {
  return Symbol.asyncIterator in texts;
}

/** Texts in blocks. Between blocks other work of the process gets its turn. */
export async function* blocksOf(where: string, texts: Texts): AsyncGenerator<string[]> {
  let block: string[] = [];
  let length = 0;
  let number = 0;
  const isFull = (text: unknown): boolean => {
    if (typeof text !== "string") throw new DataError(`${where}: text ${number} is a ${typeof text}, not a string`);
    number += 1;
    block.push(text);
    length += text.length;
    return block.length >= blockTexts || length >= blockLength;
  };
  const take = (): string[] => {
    const full = block;
    block = [];
    length = 0;
    return full;
  };
  if (isAsync(texts)) {
    for await (const text of texts) if (isFull(text)) yield take();
  } else {
    for (const text of texts) {
      if (!isFull(text)) continue;
      yield take();
      await setImmediate();
    }
  }
  if (block.length > 0) yield take();
}

/** Blocks of work that the addon has at a time: one to be done while the next is copied. */
const atOnce = 2;

/** Sends blocks to the addon, a few at a time; `done` gets the results in order. */
export async function inBlocks<Block, Result>(
  blocks: AsyncIterable<Block> | Iterable<Block>,
  send: (block: Block) => Promise<Result>,
  done: (result: Result) => void,
): Promise<void> {
  const waiting: Promise<Result>[] = [];
  for await (const block of blocks) {
    const sent = send(block);
    // Its rejection is seen when its turn comes.
    sent.catch(() => {});
    waiting.push(sent);
    if (waiting.length >= atOnce) done(await waiting.shift()!);
  }
  for (const sent of waiting) done(await sent);
}
