import { FormatError } from "../../errors.ts";

/** Reads numbers from the bytes of a file that may come from anywhere; whatever lies beyond its end is a FormatError. */
export class Bytes {
  /** What is read, for messages. */
  readonly name: string;
  readonly #view: DataView;

  /**
   * @param name - The file, for messages.
   * @param bytes - Its content, which is not copied.
   */
  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Count of bytes. */
  get length(): number {
    return this.#view.byteLength;
  }

  /** The error that says why the file cannot be read. */
  damaged(detail: string): FormatError {
    return new FormatError(`${this.name} is damaged: ${detail}`);
  }

  #check(at: number, size: number): number {
    if (!Number.isSafeInteger(at) || at < 0 || size < 0 || at + size > this.length) {
      throw this.damaged(`${size} bytes at ${at} lie beyond its end at ${this.length}`);
    }
    return at;
  }

  /** One byte. */
  u8(at: number): number {
    return this.#view.getUint8(this.#check(at, 1));
  }

  /** Two bytes, the lowest first, as all numbers here. */
  u16(at: number): number {
    return this.#view.getUint16(this.#check(at, 2), true);
  }

  /** Four bytes. */
  u32(at: number): number {
    return this.#view.getUint32(this.#check(at, 4), true);
  }

  /** Eight bytes, which must be a number below 2^53. */
  u64(at: number): number {
    const value = this.#view.getBigUint64(this.#check(at, 8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.damaged(`${value} at ${at} is no place or size`);
    return Number(value);
  }

  /** Whether eight bytes are all ones, which marks a place that does not exist. */
  isUndefined(at: number): boolean {
    return this.#view.getBigUint64(this.#check(at, 8), true) === 2n ** 64n - 1n;
  }

  /** Bytes as text, each a character. */
  latin(at: number, size: number): string {
    return Buffer.from(this.slice(at, size)).toString("latin1");
  }

  /** UTF-8 up to a zero byte, or to the end of `size` bytes. */
  text(at: number, size: number): string {
    const bytes = Buffer.from(this.slice(at, size));
    const zero = bytes.indexOf(0);
    return bytes.toString("utf8", 0, zero === -1 ? size : zero);
  }

  /** Some of the bytes, not copied. */
  slice(at: number, size: number): Uint8Array {
    this.#check(at, size);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, size);
  }
}
