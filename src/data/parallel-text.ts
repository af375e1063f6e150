import { DataError } from "../errors.ts";
import { checkKeys, integerOption, numberOption } from "../options.ts";
import { permutation } from "./random.ts";

/** A sentence and its translation. */
export interface TextPair {
  /** What is translated. */
  source: string;
  /** Its translation. */
  target: string;
}

/** Options of {@link ParallelText.split}. */
export interface SplitOptions {
  /** Part of the pairs in the first result, between 0 and 1; exclusive with `count`. */
  fraction?: number;
  /** Pairs in the first result. */
  count?: number;
  /** Draws the pairs by this seed; without it the first result is the start. */
  seed?: number;
}

/** Sentence pairs in memory, in a fixed order. */
export class ParallelText implements Iterable<TextPair> {
  readonly #sources: readonly string[];
  readonly #targets: readonly string[];

  /** Pairs that the reader left out because a side was empty. */
  readonly skipped: number;

  private constructor(sources: readonly string[], targets: readonly string[], skipped: number) {
    this.#sources = sources;
    this.#targets = targets;
    this.skipped = skipped;
  }

  /**
   * Pairs from two lists of equal length, which are copied.
   *
   * @param sources - What is translated.
   * @param targets - The translations.
   * @param skipped - Pairs left out on the way, default 0.
   * @throws DataError if the lengths differ or an item is not a string.
   */
  static fromColumns(sources: Iterable<string>, targets: Iterable<string>, skipped = 0): ParallelText {
    const columns = [[...sources], [...targets]] as const;
    if (columns[0].length !== columns[1].length) {
      throw new DataError(`${columns[0].length} sources but ${columns[1].length} targets`);
    }
    for (const [side, column] of columns.entries()) {
      const wrong = column.findIndex((text) => typeof text !== "string");
      if (wrong !== -1) throw new DataError(`pair ${wrong}: the ${side === 0 ? "source" : "target"} is not a string`);
    }
    return new ParallelText(columns[0], columns[1], skipped);
  }

  /**
   * Pairs from objects `{ source, target }` or two-element arrays.
   *
   * @param pairs - The pairs.
   * @throws DataError naming the pair that has no two strings.
   */
  static from(pairs: Iterable<TextPair | readonly [source: string, target: string]>): ParallelText {
    const sources: string[] = [];
    const targets: string[] = [];
    for (const pair of pairs) {
      if (typeof pair !== "object" || pair === null || !("source" in pair || Array.isArray(pair))) {
        throw new DataError(`pair ${sources.length} is neither an object with source and target nor an array of both`);
      }
      const [source, target] = "source" in pair ? [pair.source, pair.target] : pair;
      sources.push(source);
      targets.push(target);
    }
    return ParallelText.fromColumns(sources, targets);
  }

  /** Count of pairs. */
  get length(): number {
    return this.#sources.length;
  }

  /** The sentences that are translated. */
  sources(): readonly string[] {
    return this.#sources;
  }

  /** The translations. */
  targets(): readonly string[] {
    return this.#targets;
  }

  /**
   * One pair.
   *
   * @param index - From 0; negative counts from the end.
   * @returns The pair, or `undefined` beyond the ends.
   */
  at(index: number): TextPair | undefined {
    const source = this.#sources.at(index);
    const target = this.#targets.at(index);
    return source === undefined || target === undefined ? undefined : { source, target };
  }

  *[Symbol.iterator](): Iterator<TextPair> {
    for (const [index, source] of this.#sources.entries()) yield { source, target: this.#targets[index]! };
  }

  /**
   * The pairs from `start` up to, not including, `end`, as `Array.prototype.slice` counts them.
   *
   * @param start - First pair, default 0.
   * @param end - Pair after the last, default the length.
   */
  slice(start?: number, end?: number): ParallelText {
    return new ParallelText(this.#sources.slice(start, end), this.#targets.slice(start, end), 0);
  }

  /**
   * The pairs in two parts, each in the order of this text.
   *
   * A source with several translations may come to lie in both parts.
   *
   * @param options - Size of the first part and how it is chosen.
   * @returns The chosen part and the rest.
   * @throws OptionError if the options are wrong or a part would be empty.
   */
  split(options: SplitOptions): [ParallelText, ParallelText] {
    checkKeys("split", options, ["fraction", "count", "seed"]);
    const wanted = options.count ?? Math.round(numberOption("split", "fraction", options.fraction, 0, 1) * this.length);
    const count = integerOption("split", "count", wanted, 1);
    if (count >= this.length)
      throw new DataError(`cannot split ${count} pairs off ${this.length}: nothing would be left`);
    if (options.seed === undefined) return [this.slice(0, count), this.slice(count)];
    const order = permutation(options.seed, 0, this.length);
    return [this.#pick(order.slice(0, count).sort()), this.#pick(order.slice(count).sort())];
  }

  /**
   * Some pairs, drawn without replacement.
   *
   * @param count - How many; all if there are fewer.
   * @param seed - An integer of at least 0; the same seed draws the same pairs.
   * @returns The pairs in the order of drawing.
   */
  sample(count: number, seed: number): ParallelText {
    return this.#pick(permutation(seed, 0, this.length).slice(0, integerOption("sample", "count", count, 0)));
  }

  #pick(indices: Uint32Array): ParallelText {
    const list = [...indices];
    return new ParallelText(
      list.map((index) => this.#sources[index]!),
      list.map((index) => this.#targets[index]!),
      0,
    );
  }
}
