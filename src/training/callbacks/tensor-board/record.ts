import { maskedCrc32c } from "./crc32c.ts";

/**
 * Data as a record of a TFRecord file: its length in 8 bytes, their checksum in 4, the data, their checksum in 4, all little-endian.
 *
 * @see https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
 */
export function record(data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(data.length + 16);
  bytes.writeBigUInt64LE(BigInt(data.length), 0);
  bytes.writeUInt32LE(maskedCrc32c(bytes.subarray(0, 8)), 8);
  bytes.set(data, 12);
  bytes.writeUInt32LE(maskedCrc32c(data), data.length + 12);
  return bytes;
}
