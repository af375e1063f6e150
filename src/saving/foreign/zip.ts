import { promisify } from "node:util";
import { FormatError } from "../../errors.ts";
import { Bytes } from "./bytes.ts";

/** Bytes of an unpacked entry beyond which a file is refused. */
const largest = 2 ** 31 - 1;
/** How much smaller deflate can make anything. */
const mostCompression = 1032;

/**
 * One entry of a zip archive.
 *
 * @param name - The file, for messages.
 * @param content - Its bytes.
 * @param entry - Name of the entry within it.
 * @throws FormatError if it is no zip archive, is damaged, encrypted, or has no such entry.
 */
export async function zipEntry(name: string, content: Uint8Array, entry: string): Promise<Uint8Array> {
  const bytes = new Bytes(name, content);
  const known: string[] = [];
  const { start, count } = directory(bytes);
  let at = start;
  for (let index = 0; index < count; index++) {
    if (bytes.u32(at) !== 0x02014b50) throw bytes.damaged(`no entry of a zip archive at ${at}`);
    const [nameSize, extraSize, commentSize] = [bytes.u16(at + 28), bytes.u16(at + 30), bytes.u16(at + 32)];
    const own = bytes.text(at + 46, nameSize);
    if (own === entry) return unpacked(bytes, at, nameSize, extraSize, entry);
    if (known.length < 10) known.push(own);
    at += 46 + nameSize + extraSize + commentSize;
  }
  throw new FormatError(`${name}: there is no ${entry} in it; it holds ${known.join(", ") || "nothing"}`);
}

/** Where the list of entries begins, and how many there are. */
function directory(bytes: Bytes): { start: number; count: number } {
  // The record is the last, but for a comment of at most 65535 bytes.
  for (let at = bytes.length - 22; at >= Math.max(0, bytes.length - 22 - 0xffff); at--) {
    if (bytes.u32(at) !== 0x06054b50) continue;
    const [count, start] = [bytes.u16(at + 10), bytes.u32(at + 16)];
    if (count !== 0xffff && start !== 0xffffffff) return { start, count };
    if (bytes.u32(at - 20) !== 0x07064b50) throw bytes.damaged("its end is missing");
    const large = bytes.u64(at - 12);
    if (bytes.u32(large) !== 0x06064b50) throw bytes.damaged("its end is missing");
    return { start: bytes.u64(large + 48), count: bytes.u64(large + 32) };
  }
  throw new FormatError(`${bytes.name}: this is no zip archive, or it is cut off`);
}

async function unpacked(
  bytes: Bytes,
  at: number,
  nameSize: number,
  extraSize: number,
  entry: string,
): Promise<Uint8Array> {
  if (bytes.u16(at + 8) & 1) throw new FormatError(`${bytes.name}: ${entry} is encrypted`);
  const method = bytes.u16(at + 10);
  // Sizes and places that do not fit 32 bits stand in a field of kind 1, in this order, those that fit left out.
  const large = largeField(bytes, at + 46 + nameSize, extraSize);
  const wide = (place: number): number => (bytes.u32(place) === 0xffffffff ? large() : bytes.u32(place));
  const size = wide(at + 24);
  const packedSize = wide(at + 20);
  const header = wide(at + 42);
  if (bytes.u32(header) !== 0x04034b50) throw bytes.damaged(`${entry} is not where it should be`);
  const start = header + 30 + bytes.u16(header + 26) + bytes.u16(header + 28);
  const packed = bytes.slice(start, packedSize);
  if (method === 0 && size === packedSize) return packed;
  if (method !== 8) throw new FormatError(`${bytes.name}: ${entry} is compressed by method ${method}, not by deflate`);
  if (size > largest || size > mostCompression * packedSize + 64) {
    throw bytes.damaged(`${entry} cannot have ${size} bytes`);
  }
  const { inflateRaw } = await import("node:zlib");
  const options = { maxOutputLength: size + 1 };
  const data = await promisify<Uint8Array, typeof options, Buffer>(inflateRaw)(packed, options).catch(
    (error: Error) => {
      throw bytes.damaged(`${entry} cannot be unpacked (${error.message})`);
    },
  );
  if (data.length !== size) throw bytes.damaged(`${entry} has ${data.length} bytes, expected ${size}`);
  return data;
}

function largeField(bytes: Bytes, start: number, size: number): () => number {
  for (let at = start; at + 4 <= start + size; at += 4 + bytes.u16(at + 2)) {
    if (bytes.u16(at) !== 1) continue;
    let next = at + 4;
    return () => {
      next += 8;
      return bytes.u64(next - 8);
    };
  }
  return () => {
    throw bytes.damaged("a size of more than 32 bits is missing");
  };
}
