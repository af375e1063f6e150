import { type FileHandle, open } from "node:fs/promises";
import { DataError, FormatError, fromFile, SconceError, StateError } from "../../errors.ts";
import { misplaced } from "../blocks.ts";
import type { PairReader, RawPair } from "./pair-reader.ts";
import { checkRuns } from "./parquet-runs.ts";
import type { Column } from "./table.ts";

/** Rows that are given on together. */
const blockRows = 1024;
/** Bytes of the columns of one group of rows, unpacked, beyond which a file is refused: a group is held whole. */
const largestGroup = 2 ** 30;
/** Rows of a group beyond which a file is refused: a few bytes can stand for any number of equal ones. */
const mostRows = 2 ** 21;
/** Values of a column beyond one a row, in lists. */
const mostListed = 2 ** 20;

/** A place in a Parquet file. */
interface RowPlace {
  readonly row: number;
  /** Bytes of the file, by which another file is told. */
  readonly size: number;
}

function checkRowPlace(value: unknown): RowPlace {
  const { row, size } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const isCount = (number: unknown) => Number.isSafeInteger(number) && (number as number) >= 0;
  if (!isCount(row) || !isCount(size)) throw misplaced();
  return { row, size } as RowPlace;
}

/** Pairs from two columns of a Parquet file, of which one group of rows after the other is held in memory. */
export function parquetReader(path: string, columns: readonly [source: Column, target: Column]): PairReader {
  return {
    name: path,
    place: (number) => `${path} row ${number}`,
    async *blocks(signal, from) {
      const start = from === undefined ? undefined : checkRowPlace(from);
      const file = await open(path).catch((error: unknown) => {
        throw fromFile("cannot read", path, error);
      });
      try {
        yield* pairsOf(await ParquetFile.open(path, file), columns, start, signal);
      } catch (error) {
        // What the parser throws at damaged files are plain errors.
        if (error instanceof SconceError || signal?.aborted) throw error;
        if (error instanceof Error && "syscall" in error) throw fromFile("cannot read", path, error);
        const reason = error instanceof Error ? error.message : String(error);
        throw new FormatError(`${path}: damaged Parquet file, or one of a kind that is not read (${reason})`, {
          cause: error,
        });
      } finally {
        await file.close();
      }
    },
  };
}

async function* pairsOf(
  file: ParquetFile,
  columns: readonly [source: Column, target: Column],
  start: RowPlace | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ pairs: RawPair[]; place: RowPlace }> {
  const { size, path } = file;
  if (start !== undefined && start.size !== size) {
    throw new StateError(
      `${path} has ${size} bytes, but ${start.size} when the place in it was saved: a run can only go on with the same file`,
    );
  }
  const picks = [file.pick(columns[0]), file.pick(columns[1])] as const;
  let first = 0;
  for (const [index, count] of file.groups.entries()) {
    const skip = Math.max(0, (start?.row ?? 0) - first);
    if (skip < count) {
      signal?.throwIfAborted();
      const rows = await file.read(index, first, [picks[0].name, picks[1].name]);
      for (let at = skip; at < rows.length; at += blockRows) {
        signal?.throwIfAborted();
        const pairs = rows.slice(at, at + blockRows).map((row, offset) => {
          const number = first + at + offset;
          return { source: picks[0].text(row, number), target: picks[1].text(row, number), number };
        });
        yield { pairs, place: { row: first + at, size } };
      }
    }
    first += count;
  }
}

type Row = Readonly<Record<string, unknown>>;

/** A column, or a field of a column of structures. */
interface Pick {
  /** Of the column. */
  readonly name: string;
  /** The text in a row; nothing counts as empty. @throws DataError if it is none. */
  text(row: Row, number: number): string;
}

/** An open file whose footer was read. */
class ParquetFile {
  readonly path: string;
  readonly size: number;
  /** Rows of each group. */
  readonly groups: readonly number[];
  readonly #names: readonly string[];
  readonly #buffer: Buffered;
  readonly #metadata: Metadata;

  private constructor(path: string, buffer: Buffered, metadata: Metadata) {
    this.path = path;
    this.size = buffer.byteLength;
    this.#buffer = buffer;
    this.#metadata = metadata;
    this.groups = metadata.row_groups.map(({ num_rows: rows }) => Number(rows));
    const [root, ...elements] = metadata.schema;
    const names: string[] = [];
    let at = 0;
    const skip = (): void => {
      const children = elements[at]?.num_children ?? 0;
      at += 1;
      for (let child = 0; child < children && at < elements.length; child++) skip();
    };
    for (let column = 0; column < (root?.num_children ?? 0) && at < elements.length; column++) {
      names.push(elements[at]!.name);
      skip();
    }
    this.#names = names;
  }

  static async open(path: string, file: FileHandle): Promise<ParquetFile> {
    // Imported when it is needed, because an import of the package should be fast.
    const { parquetMetadataAsync } = await import("hyparquet/src/metadata.js");
    const { size } = await file.stat();
    if (size < 12) throw new FormatError(`${path}: this is no Parquet file`);
    const bytesOf = async (start: number, end: number): Promise<ArrayBuffer> => {
      if (!(start >= 0 && start <= end && end <= size)) throw new Error(`bytes ${start} to ${end} lie beyond its end`);
      const bytes = new Uint8Array(end - start);
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done);
        if (bytesRead === 0) throw new Error("it became shorter while it was read");
        done += bytesRead;
      }
      return bytes.buffer;
    };
    const slice = (start: number, end = size): Promise<ArrayBuffer> => {
      const bytes = bytesOf(start, end);
      // The parser reads ahead, and leaves these promises alone if it fails at something else.
      bytes.catch(() => undefined);
      return bytes;
    };
    const buffer = { byteLength: size, slice };
    return new ParquetFile(path, buffer, await parquetMetadataAsync(buffer, { geoparquet: false }));
  }

  /** A column by its number or name; dots in a name lead into structures unless a column is called so. */
  pick(column: Column): Pick {
    const names = this.#names;
    const listed = names.map((name) => JSON.stringify(name)).join(", ");
    const missing = () =>
      new DataError(`${this.path}: no column ${JSON.stringify(column)}; there are ${listed || "none"}`);
    const whole = typeof column === "number" ? names[column] : names.includes(column) ? column : undefined;
    const [name, ...fields] = whole === undefined ? String(column).split(".") : [whole];
    if (name === undefined || !names.includes(name)) throw missing();
    return {
      name,
      text: (row, number) => {
        let value: unknown = row[name];
        for (const field of fields) {
          if (typeof value === "object" && value !== null && !Object.hasOwn(value, field)) throw missing();
          value = (value as Row | null | undefined)?.[field];
        }
        if (value === null || value === undefined) return "";
        if (typeof value === "string") return value;
        throw new DataError(`${this.path} row ${number}: column ${JSON.stringify(column)} is not a text`);
      },
    };
  }

  /** Throws unless the pages of a chunk follow each other to its end: the parser takes sizes and lengths at their word. */
  async #checkPages(chunk: Chunk, rows: number, compressors: Record<string, Decompress>): Promise<void> {
    const { deserializeTCompactProtocol } = await import("hyparquet/src/thrift.js");
    const { decompressPage } = await import("hyparquet/src/datapage.js");
    const { getMaxDefinitionLevel, getMaxRepetitionLevel, getSchemaPath } = await import("hyparquet/src/schema.js");
    const path = getSchemaPath(this.#metadata.schema, chunk.path_in_schema);
    const deepest = [path.length > 1 ? getMaxRepetitionLevel(path) : 0, getMaxDefinitionLevel(path)] as const;
    const data = Number(chunk.data_page_offset);
    const start = Math.min(Number(chunk.dictionary_page_offset ?? data) || data, data);
    const bytes = await this.#buffer.slice(start, start + Number(chunk.total_compressed_size));
    const reader = { view: new DataView(bytes), offset: 0 };
    const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
    let values = 0;
    let unpacked = 0;
    while (reader.offset < bytes.byteLength - 1) {
      const header: Header = deserializeTCompactProtocol(reader);
      const { field_2: size, field_3: packed, field_5: first, field_7: dictionary, field_8: second } = header;
      const page = (first ?? dictionary ?? second) as Header | undefined;
      const count = page?.field_1 ?? 0;
      // Version 2 says how many bytes its levels take; both say how values and levels are written.
      const levels = second === undefined ? [] : [page?.field_5, page?.field_6];
      const codes = first === undefined ? [] : [page?.field_2, page?.field_3, page?.field_4];
      if (second !== undefined) codes.push(page?.field_4);
      const fits = levels.every(isSize) && levels.reduce((sum, bytes) => sum + bytes, 0) <= Number(packed);
      if (!fits || !codes.every(isSize)) throw new Error(`a page at ${start + reader.offset} has no levels`);
      if (!isSize(size) || !isSize(packed) || !isSize(count) || reader.offset + packed > bytes.byteLength) {
        throw new Error(`a page at ${start + reader.offset} has no size`);
      }
      const body = new Uint8Array(bytes, reader.offset, packed);
      reader.offset += packed;
      unpacked += size;
      if (dictionary === undefined) values += count;
      if (unpacked > largestGroup || values > Math.max(rows, mostListed)) throw new Error("a page is too large");
      if (dictionary !== undefined && count > mostListed) throw new Error("a dictionary is too large");
      const whole = (part: Uint8Array, length: number) => decompressPage(part, length, chunk.codec, compressors);
      const common = { count, deepest, boolean: chunk.type === "BOOLEAN" };
      if (first !== undefined) {
        const encoding = Number(page?.field_2);
        checkRuns({ ...common, levels: whole(body, size), values: undefined, encoding, lengths: undefined });
      } else if (second !== undefined) {
        // The two lengths of the levels, which are not packed.
        const lengths = [Number(page?.field_6), Number(page?.field_5)] as const;
        const start = lengths[0] + lengths[1];
        const rest = body.subarray(start);
        const data = page?.field_7 === false ? rest : whole(rest, size - start);
        checkRuns({ ...common, levels: body, values: data, encoding: Number(page?.field_4), lengths });
      }
    }
    if (values < rows) throw new Error(`a column has ${values} values for ${rows} rows`);
  }

  /** The rows of a group. */
  async read(group: number, first: number, columns: string[]): Promise<Row[]> {
    const { parquetReadObjects } = await import("hyparquet/src/read.js");
    const { columns: chunks, num_rows: rows } = this.#metadata.row_groups[group]!;
    const bytes = chunks.reduce((sum, { meta_data: data }) => {
      const isWanted = columns.includes(data?.path_in_schema[0] ?? "");
      return sum + (isWanted ? Number(data?.total_uncompressed_size ?? 0) : 0);
    }, 0);
    if (!(bytes <= largestGroup && Number(rows) >= 0 && Number(rows) <= mostRows)) {
      throw new FormatError(
        `${this.path}: group ${group} has ${rows} rows and ${bytes} bytes; write it in groups of at most ${mostRows} rows and ${largestGroup} bytes`,
      );
    }
    const compressors = await decompressors(this.path);
    for (const { meta_data: data } of chunks) {
      if (data !== undefined && columns.includes(data.path_in_schema[0] ?? ""))
        await this.#checkPages(data, Number(rows), compressors);
    }
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return parquetReadObjects({
      file: this.#buffer,
      metadata: this.#metadata,
      columns: [...new Set(columns)],
      rowStart: first,
      rowEnd: first + Number(rows),
      geoparquet: false,
      compressors,
      parsers: {
        stringFromBytes: (text: Uint8Array | undefined) => {
          if (text === undefined) return undefined;
          try {
            return decoder.decode(text);
          } catch {
            throw new DataError(`${this.path} rows ${first} to ${first + Number(rows) - 1}: not valid UTF-8`);
          }
        },
      },
    });
  }
}

type Header = Readonly<Record<string, unknown>>;
type Chunk = NonNullable<Metadata["row_groups"][number]["columns"][number]["meta_data"]>;
type Metadata = Awaited<ReturnType<typeof import("hyparquet/src/metadata.js")["parquetMetadataAsync"]>>;
type Buffered = Parameters<typeof import("hyparquet/src/metadata.js")["parquetMetadataAsync"]>[0];
type Decompress = (packed: Uint8Array, size: number) => Uint8Array;

/** What Node can unpack; Snappy is in the parser. */
async function decompressors(path: string): Promise<Record<string, Decompress>> {
  const zlib = await import("node:zlib");
  const limited = (size: number) => ({ maxOutputLength: Math.max(1, size) });
  const { zstdDecompressSync } = zlib as unknown as {
    zstdDecompressSync?: (packed: Uint8Array, options: object) => Uint8Array;
  };
  return {
    GZIP: (packed, size) => zlib.gunzipSync(packed, limited(size)),
    BROTLI: (packed, size) => zlib.brotliDecompressSync(packed, limited(size)),
    ZSTD: (packed, size) => {
      if (zstdDecompressSync !== undefined) return zstdDecompressSync(packed, limited(size));
      throw new FormatError(
        `${path} is compressed with Zstandard, which Node reads from 22.15 on; write it with Snappy or gzip`,
      );
    },
  };
}
