/** A source and its translation as they stand in the data: not trimmed, perhaps empty. */
export interface RawPair {
  source: string;
  target: string;
  /** Where it stands, as {@link PairReader.place} takes it. */
  number: number;
}

/** Reads sentence pairs of one format, a block at a time. */
export interface PairReader {
  /** What is read, for messages. */
  readonly name: string;
  /** Where a pair stands, for messages. */
  place(number: number): string;
  /** The pairs in their order. */
  blocks(signal: AbortSignal | undefined): AsyncGenerator<RawPair[]>;
}
