import { DataError } from "../../errors.ts";
import { misplaced } from "../blocks.ts";
import { CsvParser, type CsvRecord } from "./csv.ts";
import { checkLinePlace, type LinePlace, readLineBlocks } from "./lines.ts";
import type { PairReader, RawPair } from "./pair-reader.ts";

/** A column by its number from 0 or by its name in the header. */
export type Column = number | string;

/** How a table is read. */
export interface TableOptions {
  readonly format: "tsv" | "csv";
  readonly columns: readonly [source: Column, target: Column];
  readonly header: boolean;
}

/** Pairs from two columns of tab- or comma-separated values. */
export function tableReader(path: string, options: TableOptions): PairReader {
  return {
    name: path,
    place: (number) => `${path} line ${number}`,
    async *blocks(signal, from) {
      const start = from === undefined ? undefined : checkTablePlace(from);
      const read = options.format === "csv" ? csvRecords : tsvRecords;
      const columns = new Columns(path, options, start);
      for await (const { records, place } of read(path, signal, start?.lines)) {
        const at = place === undefined ? undefined : { lines: place, ...columns.known };
        const pairs: RawPair[] = [];
        for (const record of records) {
          const pair = columns.pick(record);
          if (pair !== undefined) pairs.push(pair);
        }
        yield { pairs, place: at };
      }
    },
  };
}

/** What is known of the columns once the first row was read. */
interface KnownColumns {
  readonly chosen?: readonly [number, number];
  readonly width?: number;
}

/** A place in a table. */
interface TablePlace extends KnownColumns {
  readonly lines: LinePlace;
}

function checkTablePlace(value: unknown): TablePlace {
  const { lines, chosen, width } = (typeof value === "object" && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  const isCount = (number: unknown): number is number => Number.isSafeInteger(number) && (number as number) >= 0;
  if (width !== undefined && !isCount(width)) throw misplaced();
  const known: KnownColumns = width === undefined ? {} : { width };
  if (chosen === undefined) return { lines: checkLinePlace(lines), ...known };
  const [source, target]: unknown[] = Array.isArray(chosen) ? chosen : [];
  if (!isCount(source) || !isCount(target)) throw misplaced();
  return { lines: checkLinePlace(lines), ...known, chosen: [source, target] };
}

/** Rows, and where the first of them begins unless that is within a line that was read before. */
interface RecordBlock {
  readonly records: CsvRecord[];
  readonly place: LinePlace | undefined;
}

async function* tsvRecords(
  path: string,
  signal: AbortSignal | undefined,
  from: LinePlace | undefined,
): AsyncGenerator<RecordBlock> {
  for await (const { lines, place } of readLineBlocks(path, signal, false, from)) {
    yield { records: lines.map(({ text, number }) => ({ fields: text.split("\t"), number })), place };
  }
}

async function* csvRecords(
  path: string,
  signal: AbortSignal | undefined,
  from: LinePlace | undefined,
): AsyncGenerator<RecordBlock> {
  const parser = new CsvParser(path);
  for await (const { lines, place } of readLineBlocks(path, signal, true, from)) {
    const begins = !parser.isWithinRecord;
    const records: CsvRecord[] = [];
    for (const line of lines) {
      const record = parser.add(line);
      if (record !== undefined) records.push(record);
    }
    yield { records, place: begins ? place : undefined };
  }
  parser.end();
}

/** Picks source and target from the rows of a table. */
class Columns {
  readonly #path: string;
  readonly #options: TableOptions;
  /** Numbers of the columns, once they are known. */
  #chosen: readonly [number, number] | undefined;
  /** Fields of the first row. */
  #width: number | undefined;

  constructor(path: string, options: TableOptions, known: KnownColumns = {}) {
    this.#path = path;
    this.#options = options;
    this.#chosen = known.chosen;
    this.#width = known.width;
  }

  /** What rows before have told. */
  get known(): KnownColumns {
    const [chosen, width] = [this.#chosen, this.#width];
    return { ...(chosen === undefined ? {} : { chosen }), ...(width === undefined ? {} : { width }) };
  }

  /** The pair of a row, or `undefined` for the header. */
  pick({ fields, number }: CsvRecord): RawPair | undefined {
    const { format, header, columns } = this.#options;
    if (this.#chosen === undefined) {
      const find = (column: Column) => (typeof column === "number" ? column : this.#named(column, fields, number));
      this.#chosen = [find(columns[0]), find(columns[1])];
      if (header) {
        this.#width = fields.length;
        return undefined;
      }
    }
    if (fields.every((field) => field.trim() === "")) return { source: "", target: "", number };
    this.#width ??= fields.length;
    const source = fields[this.#chosen[0]];
    const target = fields[this.#chosen[1]];
    if (source === undefined || target === undefined) {
      const kind = format === "csv" ? "comma-separated" : "tab-separated";
      throw new DataError(
        `${this.#path} line ${number}: ${fields.length} ${kind} column${fields.length === 1 ? "" : "s"}, ` +
          `expected at least ${Math.max(...this.#chosen) + 1}; the option format tells another format`,
      );
    }
    if (format === "csv" && fields.length !== this.#width) {
      throw new DataError(
        `${this.#path} line ${number}: ${fields.length} fields, but the first row has ${this.#width}; ` +
          "a field that contains a comma must be in quotes",
      );
    }
    return { source, target, number };
  }

  #named(name: string, header: readonly string[], number: number): number {
    const names = header.map((field) => field.trim());
    const index = names.indexOf(name);
    if (index !== -1 && names.indexOf(name, index + 1) === -1) return index;
    throw new DataError(
      `${this.#path} line ${number}: ${index === -1 ? "no" : "more than one"} column ${JSON.stringify(name)} in the header; ` +
        `there are ${names.map((field) => JSON.stringify(field)).join(", ")}`,
    );
  }
}
