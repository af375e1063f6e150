import { promisify } from "node:util";
import { FormatError } from "../../../errors.ts";
import type { Bytes } from "../bytes.ts";
import { type FloatType, floatSizes, floatsOf } from "../floats.ts";
import type { ForeignArray } from "../weights.ts";
import { kinds, type Message } from "./messages.ts";

/** Type of the elements and the order of their bytes; `undefined`: no floats. */
interface ElementType {
  readonly type: FloatType;
  readonly littleEndian: boolean;
}

/** How chunks were changed before they were written. */
type Filter = "deflate" | "shuffle" | "fletcher32";
const filters: Readonly<Record<number, Filter>> = { 1: "deflate", 2: "shuffle", 3: "fletcher32" };

/** The dimensions of a dataspace. */
export function shapeOf(bytes: Bytes, at: number): number[] {
  const version = bytes.u8(at);
  if (version !== 1 && version !== 2) throw bytes.damaged(`a shape has version ${version}`);
  const rank = bytes.u8(at + 1);
  if (rank > 32) throw bytes.damaged(`a shape has ${rank} axes`);
  const start = at + (version === 1 ? 8 : 4);
  return Array.from({ length: rank }, (_, axis) => bytes.u64(start + 8 * axis));
}

function elementType(bytes: Bytes, at: number): ElementType | undefined {
  const kind = bytes.u8(at) & 0x0f;
  if (kind !== 1) return undefined;
  const size = bytes.u32(at + 4);
  const exponent = bytes.u8(at + 13);
  const littleEndian = (bytes.u8(at + 1) & 1) === 0;
  if (size === 8) return { type: "float64", littleEndian };
  if (size === 4) return { type: "float32", littleEndian };
  if (size === 2) return { type: exponent === 8 ? "bfloat16" : "float16", littleEndian };
  return undefined;
}

/**
 * The numbers that an object holds, or `undefined` if it holds none.
 *
 * @throws FormatError if it is damaged.
 */
export function datasetOf(bytes: Bytes, path: string, messages: readonly Message[]): ForeignArray | undefined {
  const find = (wanted: number) => messages.find(({ kind }) => kind === wanted)?.at;
  const [space, type, layout] = [find(kinds.dataspace), find(kinds.datatype), find(kinds.layout)];
  if (space === undefined || type === undefined || layout === undefined) return undefined;
  const shape = shapeOf(bytes, space);
  const filterAt = find(kinds.filters);
  return {
    shape,
    async read() {
      const element = elementType(bytes, type);
      if (element === undefined) throw new FormatError(`${bytes.name}: ${path} holds no floating-point numbers`);
      const size = shape.reduce((product, dimension) => product * dimension, floatSizes[element.type]);
      const applied = filterAt === undefined ? [] : filtersOf(bytes, path, filterAt);
      const raw = await stored(bytes, path, layout, { shape, size, element: floatSizes[element.type], applied });
      return floatsOf(element.type, raw, element.littleEndian);
    },
  };
}

interface Plan {
  readonly shape: readonly number[];
  /** Bytes of all elements. */
  readonly size: number;
  /** Bytes of one. */
  readonly element: number;
  readonly applied: readonly Filter[];
}

async function stored(bytes: Bytes, path: string, at: number, plan: Plan): Promise<Uint8Array> {
  const version = bytes.u8(at);
  const kind = bytes.u8(at + 1);
  if (version !== 3 && !(version === 4 && kind < 2)) {
    throw new FormatError(`${bytes.name}: ${path} is stored in a way of HDF5 that is not read (layout ${version})`);
  }
  if (kind === 2) return chunks(bytes, path, at, plan);
  if (kind > 2) throw bytes.damaged(`${path} has an unknown layout ${kind}`);
  if (kind === 1 && bytes.isUndefined(at + 2)) return zeros(bytes, path, plan);
  const [start, size] = kind === 0 ? [at + 4, bytes.u16(at + 2)] : [bytes.u64(at + 2), bytes.u64(at + 10)];
  if (size < plan.size) throw bytes.damaged(`${path} has ${size} bytes where its shape needs ${plan.size}`);
  return bytes.slice(start, plan.size);
}

/** What was never written; as large as the shape says, so only as large as the file can hold. */
function zeros(bytes: Bytes, path: string, { size }: Plan): Uint8Array {
  if (size > bytes.length) throw bytes.damaged(`${path} has a shape, but no values`);
  return new Uint8Array(size);
}

function filtersOf(bytes: Bytes, path: string, start: number): Filter[] {
  const version = bytes.u8(start);
  const count = bytes.u8(start + 1);
  let at = start + (version === 1 ? 8 : 2);
  const found: Filter[] = [];
  for (let index = 0; index < count; index++) {
    const id = bytes.u16(at);
    const named = version === 1 || id >= 256;
    const nameSize = named ? bytes.u16(at + 2) : 0;
    const values = bytes.u16(at + (named ? 6 : 4));
    at += (named ? 8 : 6) + (version === 1 ? Math.ceil(nameSize / 8) * 8 : nameSize);
    at += 4 * (version === 1 ? values + (values % 2) : values);
    const filter = filters[id];
    if (filter === undefined)
      throw new FormatError(`${bytes.name}: ${path} is compressed by filter ${id}, not by gzip`);
    found.push(filter);
  }
  return found;
}

async function chunks(bytes: Bytes, path: string, at: number, plan: Plan): Promise<Uint8Array> {
  const rank = bytes.u8(at + 2) - 1;
  if (rank !== plan.shape.length) throw bytes.damaged(`the chunks of ${path} have ${rank} axes`);
  if (plan.size > 1100 * bytes.length) throw bytes.damaged(`${path} is too large for its file`);
  const root = at + 3;
  const sizes = Array.from({ length: rank }, (_, axis) => bytes.u32(at + 11 + 4 * axis));
  const chunkSize = sizes.reduce((product, size) => product * size, plan.element);
  if (chunkSize === 0 || chunkSize > 2 ** 31) throw bytes.damaged(`the chunks of ${path} have ${chunkSize} bytes`);
  const result = new Uint8Array(plan.size);
  if (bytes.isUndefined(root)) return result;
  const seen = new Set<number>();
  const keySize = 8 + 8 * (rank + 1);
  const visit = async (address: number): Promise<void> => {
    if (seen.has(address)) throw bytes.damaged(`the index of ${path} runs in a circle`);
    seen.add(address);
    if (bytes.latin(address, 4) !== "TREE") throw bytes.damaged(`there is no index of chunks at ${address}`);
    const level = bytes.u8(address + 5);
    const count = bytes.u16(address + 6);
    for (let index = 0; index < count; index++) {
      const key = address + 24 + index * (keySize + 8);
      const child = bytes.u64(key + keySize);
      if (level > 0) {
        await visit(child);
        continue;
      }
      const packed = bytes.slice(child, bytes.u32(key));
      const offsets = sizes.map((_, axis) => bytes.u64(key + 8 + 8 * axis));
      const skipped = bytes.u32(key + 4);
      const applied = plan.applied.filter((_, filter) => !(skipped & (1 << filter)));
      const chunk = await unpacked(bytes, path, packed, applied, chunkSize, plan.element);
      place(result, plan, chunk, sizes, offsets);
    }
  };
  await visit(bytes.u64(root));
  return result;
}

async function unpacked(
  bytes: Bytes,
  path: string,
  packed: Uint8Array,
  applied: readonly Filter[],
  size: number,
  element: number,
): Promise<Uint8Array> {
  let data = packed;
  for (const filter of [...applied].reverse()) {
    if (filter === "fletcher32") data = data.subarray(0, -4);
    else if (filter === "shuffle") data = unshuffled(data, element);
    else {
      const { inflate } = await import("node:zlib");
      const options = { maxOutputLength: size + 4 };
      data = await promisify<Uint8Array, typeof options, Buffer>(inflate)(data, options).catch((error: Error) => {
        throw bytes.damaged(`${path} cannot be unpacked (${error.message})`);
      });
    }
  }
  if (data.length !== size) throw bytes.damaged(`a chunk of ${path} has ${data.length} bytes, expected ${size}`);
  return data;
}

/** The first bytes of all elements lay together, then the second ones, and so on. */
function unshuffled(data: Uint8Array, element: number): Uint8Array {
  const count = Math.floor(data.length / element);
  const result = new Uint8Array(data.length);
  result.set(data.subarray(count * element), count * element);
  for (let byte = 0; byte < element; byte++) {
    for (let index = 0; index < count; index++) result[index * element + byte] = data[byte * count + index]!;
  }
  return result;
}

/** Copies a chunk to its place, as far as it lies within the shape. */
function place(
  result: Uint8Array,
  { shape, element }: Plan,
  chunk: Uint8Array,
  sizes: readonly number[],
  offsets: readonly number[],
): void {
  const copy = (axis: number, from: number, to: number): void => {
    const inside = Math.min(sizes[axis]!, shape[axis]! - offsets[axis]!);
    if (axis === shape.length - 1) {
      if (inside > 0) result.set(chunk.subarray(from * element, (from + inside) * element), to * element);
      return;
    }
    const chunkStride = sizes.slice(axis + 1).reduce((product, size) => product * size, 1);
    const stride = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
    const next = offsets[axis + 1]!;
    const nextStride = shape.slice(axis + 2).reduce((product, size) => product * size, 1);
    for (let index = 0; index < inside; index++) {
      copy(axis + 1, from + index * chunkStride, to + index * stride + next * nextStride);
    }
  };
  const first = shape.slice(1).reduce((product, size) => product * size, 1);
  copy(0, 0, offsets[0]! * first);
}
