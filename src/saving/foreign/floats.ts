/** Types of floating-point numbers that files of weights hold. */
export type FloatType = "float16" | "bfloat16" | "float32" | "float64";

/** Bytes of a number. */
export const floatSizes: Readonly<Record<FloatType, number>> = { float16: 2, bfloat16: 2, float32: 4, float64: 8 };

/**
 * Numbers from their bytes, rounded to 32 bits.
 *
 * @param type - What the bytes are.
 * @param bytes - The numbers one after the other.
 * @param littleEndian - Whether the lowest byte of each comes first.
 * @returns A copy.
 */
export function floatsOf(type: FloatType, bytes: Uint8Array, littleEndian = true): Float32Array<ArrayBuffer> {
  const size = floatSizes[type];
  const values = new Float32Array(Math.floor(bytes.length / size));
  if (type === "float32" && littleEndian && hostIsLittle) {
    new Uint8Array(values.buffer).set(bytes.subarray(0, values.byteLength));
    return values;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = readers[type];
  for (let index = 0; index < values.length; index++) values[index] = read(view, index * size, littleEndian);
  return values;
}

const hostIsLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const bits = new DataView(new ArrayBuffer(4));

const readers: Readonly<Record<FloatType, (view: DataView, at: number, little: boolean) => number>> = {
  float16: (view, at, little) => half(view.getUint16(at, little)),
  bfloat16: (view, at, little) => {
    // The upper half of 32 bits.
    bits.setUint32(0, view.getUint16(at, little) * 0x10000);
    return bits.getFloat32(0);
  },
  float32: (view, at, little) => view.getFloat32(at, little),
  float64: (view, at, little) => view.getFloat64(at, little),
};

/** IEEE 754 binary16. */
function half(word: number): number {
  const sign = word & 0x8000 ? -1 : 1;
  const exponent = (word >> 10) & 0x1f;
  const fraction = word & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
