import { FormatError } from "../../errors.ts";
import { Bytes } from "./bytes.ts";
import { type FloatType, floatSizes, floatsOf } from "./floats.ts";
import type { ForeignArray } from "./weights.ts";

/** Bytes of a header beyond which a file is refused; the format itself sets this limit. */
export const largestHeader = 100_000_000;

const types: Readonly<Record<string, FloatType>> = { F16: "float16", BF16: "bfloat16", F32: "float32", F64: "float64" };

/** What a safetensors file holds. */
export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, ForeignArray>;
}

/** The header as JSON, or `undefined` if the file cannot be one of safetensors. */
export function safetensorsHeader(name: string, content: Uint8Array): Record<string, unknown> | undefined {
  if (content.length < 8) return undefined;
  const bytes = new Bytes(name, content);
  if (bytes.u32(4) !== 0 || bytes.u32(0) > Math.min(largestHeader, content.length - 8)) return undefined;
  try {
    const header: unknown = JSON.parse(Buffer.from(bytes.slice(8, bytes.u32(0))).toString("utf8"));
    return typeof header === "object" && header !== null && !Array.isArray(header)
      ? (header as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The tensors of a safetensors file by name, in its order; numbers are read only when they are asked for.
 *
 * @param name - The file, for messages.
 * @param content - Its bytes.
 * @throws FormatError if it is damaged.
 */
export function readSafetensors(name: string, content: Uint8Array): Safetensors {
  const bytes = new Bytes(name, content);
  const header = safetensorsHeader(name, content);
  if (header === undefined) throw new FormatError(`${name}: this is no safetensors file, or it is cut off`);
  const data = 8 + bytes.u32(0);
  const tensors = new Map<string, ForeignArray>();
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header)) {
    if (key === "__metadata__") {
      if (typeof value !== "object" || value === null) throw bytes.damaged("its metadata are no object");
      metadata = value as Record<string, string>;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2 || typeof dtype !== "string") {
      throw bytes.damaged(`tensor ${JSON.stringify(key)} has no type, shape or place`);
    }
    const [from, to] = offsets as [number, number];
    tensors.set(key, {
      shape,
      async read() {
        const type = Object.hasOwn(types, dtype) ? types[dtype] : undefined;
        if (type === undefined) throw new FormatError(`${name}: tensor ${JSON.stringify(key)} is ${dtype}, not floats`);
        const size = shape.reduce((product, dimension) => product * dimension, floatSizes[type]);
        if (to - from !== size)
          throw bytes.damaged(`tensor ${JSON.stringify(key)} has ${to - from} bytes, not ${size}`);
        return floatsOf(type, bytes.slice(data + from, size));
      },
    });
  }
  return { metadata, tensors };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 32 && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
