import type { Bytes } from "../bytes.ts";

/** Kinds of messages in an object header that are read. */
export const kinds = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  link: 0x06,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
} as const;

/** A message of an object header. */
export interface Message {
  readonly kind: number;
  /** Where its content begins. */
  readonly at: number;
  readonly size: number;
}

/** Messages of one object beyond which a file is taken for damaged. */
const mostMessages = 65_536;

/**
 * The messages of the object whose header lies at an address.
 *
 * @throws FormatError if the header is damaged or of an unknown version.
 */
export function messagesOf(bytes: Bytes, address: number): Message[] {
  const isNew = bytes.latin(address, 4) === "OHDR";
  const found: Message[] = [];
  const blocks = isNew ? [firstNew(bytes, address)] : [firstOld(bytes, address)];
  const seen = new Set<number>();
  for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
    if (seen.has(block.at)) throw bytes.damaged(`the header of an object at ${address} runs in a circle`);
    seen.add(block.at);
    for (const message of isNew ? newMessages(bytes, block) : oldMessages(bytes, block)) {
      if (message.kind === kinds.continuation) {
        const at = bytes.u64(message.at);
        const size = bytes.u64(message.at + 8);
        blocks.push(isNew ? { ...block, at: at + 4, end: at + size - 4 } : { ...block, at, end: at + size });
        if (isNew && bytes.latin(at, 4) !== "OCHK") throw bytes.damaged(`no part of an object header at ${at}`);
      } else {
        found.push(message);
      }
      if (found.length > mostMessages) throw bytes.damaged(`too many messages in the object header at ${address}`);
    }
  }
  return found;
}

interface Block {
  readonly at: number;
  readonly end: number;
  /** Bytes of a message before its content, in version 2. */
  readonly head: number;
}

function firstOld(bytes: Bytes, address: number): Block {
  const version = bytes.u8(address);
  if (version !== 1) throw bytes.damaged(`there is no object header at ${address}`);
  return { at: address + 16, end: address + 16 + bytes.u32(address + 8), head: 8 };
}

function firstNew(bytes: Bytes, address: number): Block {
  const version = bytes.u8(address + 4);
  if (version !== 2) throw bytes.damaged(`the object header at ${address} has version ${version}`);
  const flags = bytes.u8(address + 5);
  const width = 1 << (flags & 3);
  let at = address + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
  const size = width === 1 ? bytes.u8(at) : width === 2 ? bytes.u16(at) : width === 4 ? bytes.u32(at) : bytes.u64(at);
  at += width;
  return { at, end: at + size, head: flags & 4 ? 6 : 4 };
}

function* oldMessages(bytes: Bytes, { at: start, end }: Block): Generator<Message> {
  for (let at = start; at + 8 <= end; ) {
    const size = bytes.u16(at + 2);
    yield { kind: bytes.u16(at), at: at + 8, size };
    at += 8 + size;
  }
}

function* newMessages(bytes: Bytes, { at: start, end, head }: Block): Generator<Message> {
  for (let at = start; at + head <= end; ) {
    const size = bytes.u16(at + 1);
    yield { kind: bytes.u8(at), at: at + head, size };
    at += head + size;
  }
}
