import { DataError } from "../../errors.ts";
import { CsvParser, type CsvRecord } from "./csv.ts";
import { readLines } from "./lines.ts";
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
    async *blocks(signal) {
      const rows = options.format === "csv" ? csvRecords(path, signal) : tsvRecords(path, signal);
      const columns = new Columns(path, options);
      for await (const block of rows) {
        const pairs: RawPair[] = [];
        for (const record of block) {
          const pair = columns.pick(record);
          if (pair !== undefined) pairs.push(pair);
        }
        yield pairs;
      }
    },
  };
}

async function* tsvRecords(path: string, signal: AbortSignal | undefined): AsyncGenerator<CsvRecord[]> {
  for await (const lines of readLines(path, signal)) {
    yield lines.map(({ text, number }) => ({ fields: text.split("\t"), number }));
  }
}

async function* csvRecords(path: string, signal: AbortSignal | undefined): AsyncGenerator<CsvRecord[]> {
  const parser = new CsvParser(path);
  for await (const lines of readLines(path, signal, true)) {
    const records: CsvRecord[] = [];
    for (const line of lines) {
      const record = parser.add(line);
      if (record !== undefined) records.push(record);
    }
    yield records;
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

  constructor(path: string, options: TableOptions) {
    this.#path = path;
    this.#options = options;
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
