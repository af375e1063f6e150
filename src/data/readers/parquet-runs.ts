/** A page of a column of a Parquet file, unpacked as far as its version packs it. */
export interface RunPage {
  /** Levels first, in both versions; values after them. */
  readonly levels: Uint8Array;
  /** Where the values are: in version 1 behind the levels. */
  readonly values: Uint8Array | undefined;
  /** Values, nothing included. */
  readonly count: number;
  /** How values are written, as a number of the format. */
  readonly encoding: number;
  /** In version 2, bytes of the repetition levels and of the definition levels. */
  readonly lengths: readonly [repetition: number, definition: number] | undefined;
  /** Deepest repetition and definition level of the column. */
  readonly deepest: readonly [repetition: number, definition: number];
  /** Whether the values are truths. */
  readonly boolean: boolean;
}

const dictionary = 2;
const runs = 3;
const dictionaryRuns = 8;

/** Bits that numbers up to one need. */
const bitsOf = (largest: number) => 32 - Math.clz32(largest);

function check(view: DataView, start: number, end: number, width: number, count: number): void {
  let at = start;
  for (let seen = 0; seen < count && at < Math.min(end, view.byteLength); ) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= view.byteLength || shift > 28) throw new Error("a run has no length");
      const byte = view.getUint8(at++);
      header += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const length = Math.floor(header / 2);
    if (header % 2 === 1) {
      at += length * width;
      seen += 8 * length;
    } else {
      if (length > count) throw new Error(`a run of ${length} equal values is in a page of ${count}`);
      at += (width + 7) >> 3;
      seen += length;
    }
  }
}

/**
 * Checks that no run of equal values is longer than its page. The parser takes the lengths of runs at their word, and a few
 * bytes could have it fill the memory.
 *
 * @throws Error if one is.
 */
export function checkRuns({ levels, values, count, encoding, lengths, deepest, boolean }: RunPage): void {
  const view = new DataView(levels.buffer, levels.byteOffset, levels.byteLength);
  let at = 0;
  for (const [place, largest] of deepest.entries()) {
    if (largest === 0 && lengths === undefined) continue;
    const length = lengths?.[place] ?? (at + 4 <= view.byteLength ? view.getUint32(at, true) : 0);
    if (lengths === undefined) at += 4;
    if (largest > 0) check(view, at, view.byteLength, bitsOf(largest), count);
    at += length;
  }
  const data = values ?? levels;
  const start = values === undefined ? at : 0;
  if (![dictionary, runs, dictionaryRuns].includes(encoding) || start >= data.byteLength) return;
  const body = new DataView(data.buffer, data.byteOffset, data.byteLength);
  // Truths say how many bytes they take, dictionaries how many bits a place has.
  if (boolean || (encoding === runs && values !== undefined)) check(body, start + 4, data.byteLength, 1, count);
  else check(body, start + 1, data.byteLength, body.getUint8(start), count);
}
