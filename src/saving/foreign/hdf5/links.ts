import { FormatError } from "../../../errors.ts";
import type { Bytes } from "../bytes.ts";
import { kinds, type Message } from "./messages.ts";

/** Names of the objects in a group, and where their headers lie. */
export type Links = Map<string, number>;

/** Links of one group beyond which a file is taken for damaged. */
const mostLinks = 1 << 20;
/** Levels of a tree beyond which a file is taken for damaged. */
const mostLevels = 32;

/**
 * What a group holds, or `undefined` for an object that is no group.
 *
 * @throws FormatError if it is damaged, or stored as only files of newer libraries are.
 */
export function linksOf(bytes: Bytes, messages: readonly Message[]): Links | undefined {
  const table = messages.find(({ kind }) => kind === kinds.symbolTable);
  if (table !== undefined) return tableLinks(bytes, table.at);
  const info = messages.find(({ kind }) => kind === kinds.linkInfo);
  if (info === undefined) return undefined;
  const heap = info.at + 2 + (bytes.u8(info.at + 1) & 1 ? 8 : 0);
  if (!bytes.isUndefined(heap)) {
    throw new FormatError(
      `${bytes.name}: it has a group with an index of HDF5 1.8 or newer, which is not read; save it with Keras' save_weights again`,
    );
  }
  const links: Links = new Map();
  for (const message of messages) if (message.kind === kinds.link) addLink(bytes, message.at, links);
  return links;
}

function addLink(bytes: Bytes, start: number, links: Links): void {
  const flags = bytes.u8(start + 1);
  let at = start + 2;
  const type = flags & 8 ? bytes.u8(at++) : 0;
  if (flags & 4) at += 8;
  if (flags & 0x10) at += 1;
  const width = 1 << (flags & 3);
  const size = width === 1 ? bytes.u8(at) : width === 2 ? bytes.u16(at) : width === 4 ? bytes.u32(at) : bytes.u64(at);
  at += width;
  if (type !== 0) throw new FormatError(`${bytes.name}: soft and external links are not followed`);
  add(bytes, links, bytes.text(at, size), bytes.u64(at + size));
}

function add(bytes: Bytes, links: Links, name: string, address: number): void {
  if (name === "" || links.has(name)) throw bytes.damaged("a name in a group is empty or stands there twice");
  links.set(name, address);
  if (links.size > mostLinks) throw bytes.damaged("a group has too many entries");
}

function tableLinks(bytes: Bytes, message: number): Links {
  const heap = bytes.u64(message + 8);
  if (bytes.latin(heap, 4) !== "HEAP") throw bytes.damaged(`there is no heap with names at ${heap}`);
  const names = { start: bytes.u64(heap + 24), size: bytes.u64(heap + 8) };
  const links: Links = new Map();
  const seen = new Set<number>();
  const visit = (address: number, levels: number): void => {
    if (levels > mostLevels || seen.has(address)) throw bytes.damaged("the index of a group runs in a circle");
    seen.add(address);
    const kind = bytes.latin(address, 4);
    if (kind === "TREE") {
      const count = bytes.u16(address + 6);
      // Keys and children take turns, a key first.
      for (let index = 0; index < count; index++) visit(bytes.u64(address + 32 + 16 * index), levels + 1);
    } else if (kind === "SNOD") {
      const count = bytes.u16(address + 6);
      for (let index = 0; index < count; index++) {
        const entry = address + 8 + 40 * index;
        const offset = bytes.u64(entry);
        if (offset >= names.size) throw bytes.damaged("a name lies outside of its heap");
        if (bytes.u32(entry + 16) === 2) throw new FormatError(`${bytes.name}: soft links are not followed`);
        add(bytes, links, bytes.text(names.start + offset, names.size - offset), bytes.u64(entry + 8));
      }
    } else throw bytes.damaged(`there is no index of a group at ${address}`);
  };
  visit(bytes.u64(message), 0);
  return links;
}
