import { DataError } from "../../errors.ts";
import { type Line, longestLine } from "./lines.ts";

/** The fields of a record and where it begins. */
export interface CsvRecord {
  fields: string[];
  /** Number of its first line, from 1. */
  number: number;
}

/** Puts lines together to records of comma-separated values as RFC 4180 has them. */
export class CsvParser {
  readonly #path: string;
  #fields: string[] = [];
  #field = "";
  /** Characters of the record's earlier lines. */
  #size = 0;
  #firstLine = 0;
  /** Line of the quote that is open, 0 for none. */
  #openQuote = 0;

  /** @param path - The file, for messages. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes the next line.
   *
   * @param line - With the `\r` before its line feed, which belongs to the field where a quote is open.
   * @returns The record that ends with the line, or `undefined` if it goes on after it.
   * @throws DataError naming the line if a quote stands where none may be, or a record exceeds the limit of a line.
   */
  add({ text, number }: Line): CsvRecord | undefined {
    if (this.#openQuote === 0) {
      this.#fields = [];
      this.#size = 0;
      this.#firstLine = number;
    }
    let at = 0;
    for (;;) {
      if (this.#openQuote !== 0) {
        const end = this.#quoted(text, at);
        if (end === undefined) return undefined;
        at = end;
        this.#fields.push(this.#field);
        if (at === text.length || (at === text.length - 1 && text[at] === "\r")) return this.#record();
        if (text[at] !== ",") {
          throw this.#error(number, "text after the closing quote; a quote within a quoted field is written twice");
        }
        at += 1;
      } else if (text[at] === '"') {
        this.#openQuote = number;
        this.#field = "";
        at += 1;
      } else {
        const comma = text.indexOf(",", at);
        const field = text.slice(at, comma !== -1 ? comma : text.endsWith("\r") ? -1 : undefined);
        if (field.includes('"')) {
          throw this.#error(
            number,
            "a quote within a field without quotes; put the field in quotes and double its own",
          );
        }
        this.#fields.push(field);
        if (comma === -1) return this.#record();
        at = comma + 1;
      }
    }
  }

  /** Whether the next line goes on with a record. */
  get isWithinRecord(): boolean {
    return this.#openQuote !== 0;
  }

  /**
   * Ends the file.
   *
   * @throws DataError naming the line of a quote that was not closed.
   */
  end(): void {
    if (this.#openQuote !== 0) throw this.#error(this.#openQuote, "the quote that opens here is not closed");
  }

  #record(): CsvRecord {
    return { fields: this.#fields, number: this.#firstLine };
  }

  /** Reads up to the closing quote; the place after it, or `undefined` if the field goes on in the next line. */
  #quoted(text: string, start: number): number | undefined {
    let at = start;
    for (;;) {
      const quote = text.indexOf('"', at);
      if (quote === -1) {
        this.#field += `${text.slice(at)}\n`;
        this.#size += text.length + 1;
        if (this.#size > longestLine) {
          throw this.#error(
            this.#openQuote,
            `the quote that opens here is not closed within ${longestLine} characters`,
          );
        }
        return undefined;
      }
      const doubled = text[quote + 1] === '"';
      this.#field += text.slice(at, doubled ? quote + 1 : quote);
      at = quote + (doubled ? 2 : 1);
      if (doubled) continue;
      this.#openQuote = 0;
      return at;
    }
  }

  #error(number: number, problem: string): DataError {
    return new DataError(`${this.#path} line ${number}: ${problem}`);
  }
}
