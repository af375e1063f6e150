import { FormatError } from "../../../errors.ts";
import { Bytes } from "../bytes.ts";
import type { ForeignArray } from "../weights.ts";
import { datasetOf, shapeOf } from "./dataset.ts";
import { linksOf } from "./links.ts";
import { kinds, type Message, messagesOf } from "./messages.ts";

/** The first bytes of an HDF5 file. */
export const hdf5Signature = Buffer.from("\x89HDF\r\n\x1a\n", "latin1");

/** A group of an HDF5 file. */
export interface Hdf5Group {
  /** From the root, without a slash at its ends. */
  readonly path: string;
  /** Text attributes; others are left out. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly groups: ReadonlyMap<string, Hdf5Group>;
  readonly datasets: ReadonlyMap<string, ForeignArray>;
}

/** Groups within groups, and objects in all, beyond which a file is taken for damaged. */
const mostLevels = 64;
const mostObjects = 1 << 20;

/**
 * Reads the tree of groups of an HDF5 file as h5py writes it; numbers are read only when they are asked for.
 *
 * Groups with a symbol table or compact links, and datasets that are contiguous, compact, or chunked by a version 1 index with
 * gzip, shuffle and checksums are read: what HDF5 writes unless it is told to use newer forms.
 *
 * @param name - The file, for messages.
 * @param content - Its bytes.
 * @throws FormatError if it is damaged, or stored in a way that is not read.
 */
export function readHdf5(name: string, content: Uint8Array): Hdf5Group {
  const bytes = new Bytes(name, content);
  if (!hdf5Signature.equals(bytes.slice(0, Math.min(8, bytes.length)))) {
    throw new FormatError(`${name}: this is no HDF5 file`);
  }
  const seen = new Set<number>();
  const groupAt = (address: number, path: string, levels: number): Hdf5Group | ForeignArray | undefined => {
    if (levels > mostLevels || seen.has(address))
      throw bytes.damaged(`${path || "the root"} lies within itself or twice`);
    seen.add(address);
    if (seen.size > mostObjects) throw bytes.damaged("it holds too many objects");
    const messages = messagesOf(bytes, address);
    const links = linksOf(bytes, messages);
    if (links === undefined) return datasetOf(bytes, path, messages);
    const groups = new Map<string, Hdf5Group>();
    const datasets = new Map<string, ForeignArray>();
    for (const [key, place] of links) {
      const child = groupAt(place, path === "" ? key : `${path}/${key}`, levels + 1);
      if (child === undefined) continue;
      if ("read" in child) datasets.set(key, child);
      else groups.set(key, child);
    }
    return { path, attributes: attributesOf(bytes, messages), groups, datasets };
  };
  const root = groupAt(rootOf(bytes), "", 0);
  if (root === undefined || "read" in root) throw bytes.damaged("its root is no group");
  return root;
}

/** Where the header of the root lies. */
function rootOf(bytes: Bytes): number {
  const version = bytes.u8(8);
  const isNew = version === 2 || version === 3;
  if (!isNew && version > 1) throw new FormatError(`${bytes.name}: HDF5 with superblock ${version} is not read`);
  const sizes = isNew ? 9 : 13;
  if (bytes.u8(sizes) !== 8 || bytes.u8(sizes + 1) !== 8) {
    throw new FormatError(`${bytes.name}: HDF5 with places of other than 8 bytes is not read`);
  }
  const start = isNew ? 12 : version === 1 ? 28 : 24;
  if (bytes.u64(start) !== 0) throw new FormatError(`${bytes.name}: HDF5 within another file is not read`);
  return bytes.u64(start + (isNew ? 24 : 40));
}

function attributesOf(bytes: Bytes, messages: readonly Message[]): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const { kind, at } of messages) {
    if (kind !== kinds.attribute) continue;
    const version = bytes.u8(at);
    if (version < 1 || version > 3) throw bytes.damaged(`an attribute has version ${version}`);
    const [nameSize, typeSize, spaceSize] = [bytes.u16(at + 2), bytes.u16(at + 4), bytes.u16(at + 6)];
    const padded = (size: number) => (version === 1 ? Math.ceil(size / 8) * 8 : size);
    const start = at + (version === 3 ? 9 : 8);
    const type = start + padded(nameSize);
    const space = type + padded(typeSize);
    const text = textOf(bytes, type, space, space + padded(spaceSize));
    if (text !== undefined) attributes.set(bytes.text(start, nameSize), text);
  }
  return attributes;
}

/** A single text of fixed or any length. */
function textOf(bytes: Bytes, type: number, space: number, at: number): string | undefined {
  if (shapeOf(bytes, space).some((size) => size !== 1)) return undefined;
  const kind = bytes.u8(type) & 0x0f;
  if (kind === 3) return bytes.text(at, bytes.u32(type + 4));
  if (kind !== 9 || (bytes.u8(type + 1) & 0x0f) !== 1) return undefined;
  const size = bytes.u32(at);
  const heap = bytes.u64(at + 4);
  const wanted = bytes.u32(at + 12);
  if (bytes.latin(heap, 4) !== "GCOL") throw bytes.damaged(`there is no heap with texts at ${heap}`);
  const end = heap + bytes.u64(heap + 8);
  for (let object = heap + 16; object + 16 <= end; ) {
    const index = bytes.u16(object);
    if (index === wanted) return bytes.text(object + 16, size);
    if (index === 0) break;
    object += 16 + Math.ceil(bytes.u64(object + 8) / 8) * 8;
  }
  throw bytes.damaged("the text of an attribute is missing");
}
