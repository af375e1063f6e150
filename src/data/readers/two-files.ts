import { DataError } from "../../errors.ts";
import { type Line, readLines } from "./lines.ts";
import type { PairReader } from "./pair-reader.ts";

/** Pairs from two files with a sentence on each line, read side by side. */
export function twoFilesReader(paths: readonly [source: string, target: string]): PairReader {
  const name = paths.join(" and ");
  return {
    name,
    place: (number) => `${name} line ${number}`,
    async *blocks(signal) {
      const sides = [new Side(paths[0], signal), new Side(paths[1], signal)] as const;
      try {
        for (;;) {
          const [sources, targets] = await Promise.all([sides[0].more(), sides[1].more()]);
          const count = Math.min(sources.length, targets.length);
          if (count === 0) break;
          sides[0].taken = count;
          sides[1].taken = count;
          yield sources
            .slice(0, count)
            .map(({ text, number }, index) => ({ source: text, target: targets[index]!.text, number }));
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

/** One of the files: what was read of it and not yet given away. */
class Side {
  readonly #blocks: AsyncGenerator<Line[]>;
  #lines: Line[] = [];
  #last = 0;

  constructor(path: string, signal: AbortSignal | undefined) {
    this.#blocks = readLines(path, signal);
  }

  /** Lines that are not given away, at least one unless the file has ended. */
  async more(): Promise<Line[]> {
    while (this.#lines.length === 0) {
      const next = await this.#blocks.next();
      if (next.done) break;
      this.#lines = next.value;
      this.#last = next.value.at(-1)?.number ?? this.#last;
    }
    return this.#lines;
  }

  /** Gives lines away. */
  set taken(count: number) {
    this.#lines = this.#lines.slice(count);
  }

  /** Lines of the whole file; reads the rest of it. */
  async count(): Promise<number> {
    for await (const lines of this.#blocks) this.#last = lines.at(-1)?.number ?? this.#last;
    return this.#last;
  }

  async close(): Promise<void> {
    await this.#blocks.return(undefined);
  }
}
