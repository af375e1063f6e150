/**
 * Messages of TensorBoard, in the encoding of protocol buffers.
 *
 * @see https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/util/event.proto
 */

/** A number as a varint, the lowest 7 bits first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/** A field with a varint. */
function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

/** A field with bytes, a text or a message. */
function bytes(field: number, value: Buffer | string): Buffer {
  const content = Buffer.from(value);
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content]);
}

/** `Event { wall_time = 1 }`. */
function wallTime(seconds: number): Buffer {
  const field = Buffer.alloc(9);
  field.writeUInt8(1 * 8 + 1);
  field.writeDoubleLE(seconds, 1);
  return field;
}

/** `SummaryMetadata { plugin_data = 1 { plugin_name = 1 } }`: what shows the value. */
const scalars = bytes(1, bytes(1, "scalars"));

/** `TensorProto { dtype = 1: DT_FLOAT, tensor_shape = 2: a scalar, tensor_content = 4 }`. */
function tensor(value: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeFloatLE(value);
  return Buffer.concat([integer(1, 1), bytes(2, ""), bytes(4, content)]);
}

/**
 * The event that a file begins with: `Event { wall_time = 1, file_version = 3 }`.
 *
 * @param seconds - Since 1970.
 */
export function versionEvent(seconds: number): Buffer {
  return Buffer.concat([wallTime(seconds), bytes(3, "brain.Event:2")]);
}

/**
 * A value of a curve, as TensorFlow 2 writes it: `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, tensor = 8,
 * metadata = 9 } } }`.
 *
 * @param seconds - Since 1970.
 * @param step - Its place on the curve, from 0.
 * @param tag - Name of the curve.
 * @param value - Rounded to float32.
 */
export function scalarEvent(seconds: number, step: number, tag: string, value: number): Buffer {
  const entry = Buffer.concat([bytes(1, tag), bytes(8, tensor(value)), bytes(9, scalars)]);
  // A field that is 0 is left out.
  const place = step === 0 ? Buffer.alloc(0) : integer(2, step);
  return Buffer.concat([wallTime(seconds), place, bytes(5, bytes(1, entry))]);
}
