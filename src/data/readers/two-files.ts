import { DataError } from "../../errors.ts";
import { misplaced } from "../blocks.ts";
import { checkLinePlace, type Line, type LineBlock, type LinePlace, readLineBlocks } from "./lines.ts";
import type { PairReader } from "./pair-reader.ts";

/** Pairs from two files with a sentence on each line, read side by side. */
export function twoFilesReader(paths: readonly [source: string, target: string]): PairReader {
  const name = paths.join(" and ");
  return {
    name,
    place: (number) => `${name} line ${number}`,
    async *blocks(signal, from) {
      const { source, target } = (from ?? {}) as { source?: unknown; target?: unknown };
      if (from !== undefined && (source === undefined || target === undefined)) throw misplaced();
      const sides = [new Side(paths[0], signal, source), new Side(paths[1], signal, target)] as const;
      try {
        for (;;) {
          const [sources, targets] = await Promise.all([sides[0].more(), sides[1].more()]);
          const count = Math.min(sources.length, targets.length);
          if (count === 0) break;
          const place = { source: sides[0].place, target: sides[1].place };
          sides[0].taken = count;
          sides[1].taken = count;
          const pairs = sources
            .slice(0, count)
            .map(({ text, number }, index) => ({ source: text, target: targets[index]!.text, number }));
          yield { pairs, place };
        }
        const [sources, targets] = [await sides[0].count(), await sides[1].count()];
        if (sources !== targets) {
          throw new DataError(
            `${paths[0]} has ${sources} lines but ${paths[1]} has ${targets}: line N of one must translate line N of the other`,
          );
        }
      } finally {
        await Promise.all(sides.map((side) => side.close()));
      }
    },
  };
}

/** A place among the lines of a block. */
interface SidePlace {
  /** That of the block. */
  readonly block: LinePlace;
  /** Lines of it before this one. */
  readonly skip: number;
}

function checkSidePlace(value: unknown): SidePlace {
  const { block, skip } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  if (!Number.isSafeInteger(skip) || (skip as number) < 0) throw misplaced();
  return { block: checkLinePlace(block), skip: skip as number };
}

/** One of the files: what was read of it and not yet given away. */
class Side {
  readonly #blocks: AsyncGenerator<LineBlock>;
  #lines: Line[] = [];
  #last: number;
  #place: SidePlace | undefined;
  /** Lines of the next block that are left out, because reading began behind them. */
  #skip: number;

  constructor(path: string, signal: AbortSignal | undefined, from: unknown) {
    const start = from === undefined ? undefined : checkSidePlace(from);
    this.#skip = start?.skip ?? 0;
    this.#last = (start?.block.line ?? 1) - 1;
    this.#blocks = readLineBlocks(path, signal, false, start?.block);
  }

  /** Where the next line lies, after {@link more} gave it. */
  get place(): SidePlace | undefined {
    return this.#place;
  }

  /** Lines that are not given away, at least one unless the file has ended. */
  async more(): Promise<Line[]> {
    while (this.#lines.length === 0) {
      const next = await this.#blocks.next();
      if (next.done) break;
      const { lines, place } = next.value;
      this.#last = lines.at(-1)?.number ?? this.#last;
      this.#lines = lines.slice(this.#skip);
      this.#place = { block: place, skip: Math.min(this.#skip, lines.length) };
      this.#skip -= this.#place.skip;
    }
    return this.#lines;
  }

  /** Gives lines away. */
  set taken(count: number) {
    this.#lines = this.#lines.slice(count);
    if (this.#place !== undefined) this.#place = { block: this.#place.block, skip: this.#place.skip + count };
  }

  /** Count of the lines of the whole file; reads the rest of it. */
  async count(): Promise<number> {
    for await (const { lines } of this.#blocks) this.#last = lines.at(-1)?.number ?? this.#last;
    return this.#last;
  }

  async close(): Promise<void> {
    await this.#blocks.return(undefined);
  }
}
