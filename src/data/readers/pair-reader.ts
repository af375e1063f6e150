/** A source and its translation as they stand in the data: not trimmed, perhaps empty. */
export interface RawPair {
  source: string;
  target: string;
  /** Where it stands, as {@link PairReader.place} takes it. */
  number: number;
}

/** Some pairs of a file. */
export interface PairBlock {
  readonly pairs: readonly RawPair[];
  /** Where the first of them lies, as JSON; `undefined` if reading cannot begin there. */
  readonly place: unknown;
}

/** Reads sentence pairs of one format, a block at a time. */
export interface PairReader {
  /** What is read, for messages. */
  readonly name: string;
  /** Where a pair stands, for messages. */
  place(number: number): string;
  /**
   * The pairs in their order.
   *
   * @param signal - Stops reading; the rejection is its reason.
   * @param place - That of an earlier block, to begin with it; default the start.
   */
  blocks(signal: AbortSignal | undefined, place?: unknown): AsyncGenerator<PairBlock>;
}
