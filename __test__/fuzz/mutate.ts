import type { Random } from "./random.ts";

/** Pieces of text that parsers trip over. */
const pieces = [
  "",
  "\0",
  "\r\n",
  "\n",
  "\t",
  '"',
  '""',
  "\\",
  "\ufeff",
  "\u2028",
  "-1",
  "0",
  "-0",
  "1e309",
  "1e-320",
  "NaN",
  "inf",
  "4294967296",
  "9007199254740993",
  "18446744073709551616",
  "99999999999999999999999999",
  "0.1",
  "null",
  "true",
  "{}",
  "[]",
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "__proto__",
  "constructor",
  "../../x",
  "&a",
  "*a",
  "!!binary",
  "<<",
  "|",
  ">",
  "%YAML 9.9",
  "---",
  "\ud800",
  "𝔘",
  "é",
  "[".repeat(400),
  '{"a":'.repeat(200),
  "- ".repeat(200),
  "x".repeat(3000),
];

/** Bytes with a few of them changed, cut off, put in, doubled or moved. */
export function mutateBytes(random: Random, good: Uint8Array): Buffer<ArrayBuffer> {
  let bytes = Buffer.from(good);
  for (let change = 1 + random.below(4); change > 0; change--) {
    const at = random.below(bytes.length + 1);
    const length = random.once(3)
      ? random.below(bytes.length - at + 1)
      : random.below(Math.min(16, bytes.length - at) + 1);
    switch (random.below(8)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.below(256);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(pieces)), bytes.subarray(at)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(pieces)), bytes.subarray(at + length)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 5:
        // Doubled pieces do not grow without limit.
        if (bytes.length < 100_000) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      case 6:
        bytes = Buffer.from(bytes.subarray(0, at));
        break;
      default:
        bytes.copy(bytes, random.below(bytes.length + 1), at, at + length);
    }
  }
  return bytes;
}

/** Values that checks trip over. */
const values: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1,
  2,
  16,
  0.5,
  1e9,
  1e308,
  2 ** 31,
  2 ** 32,
  2 ** 40,
  2 ** 53,
  -(2 ** 63),
  "",
  "0",
  "batch",
  "softmax",
  "a/b",
  "../x",
  "toString",
  "__proto__",
  "\0",
  "x".repeat(300),
  [],
  {},
  [null],
  [[]],
  [0, 0],
  [0, 1],
  [-1, 0],
  { type: "zeros" },
  { type: "constructor" },
  { length: -1 },
];

type Container = Record<string, unknown> | unknown[];

function isContainer(value: unknown): value is Container {
  return typeof value === "object" && value !== null;
}

/** All containers of a document. */
function containers(value: unknown, found: Container[] = []): Container[] {
  if (!isContainer(value)) return found;
  found.push(value);
  for (const child of Object.values(value)) containers(child, found);
  return found;
}

function set(container: Container, key: string, value: unknown): void {
  // As a file would have it, not as an assignment would.
  Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true });
}

/** A document with a few values replaced, taken away, copied elsewhere or given another key. */
export function mutateDocument(random: Random, good: unknown): unknown {
  const document = structuredClone(good);
  for (let change = 1 + random.below(3); change > 0; change--) {
    const all = containers(document);
    if (all.length === 0) return random.pick(values);
    const container = random.pick(all);
    const keys = Object.keys(container);
    const key = keys.length === 0 ? "0" : random.pick(keys);
    switch (random.below(7)) {
      case 0:
      case 1:
        set(container, key, structuredClone(random.pick(values)));
        break;
      case 2:
        if (Array.isArray(container)) container.splice(random.below(container.length), 1);
        else delete container[key];
        break;
      case 3: {
        // A copy of another part; not of the whole, which would double it each time.
        const other = random.pick(all);
        const from = Object.values(other)[0];
        set(container, key, structuredClone(from));
        break;
      }
      case 4:
        if (Array.isArray(container) && container.length < 1000) container.push(structuredClone(container[0]));
        else
          set(
            container,
            random.pick(["__proto__", "constructor", "type", "extra", ""]),
            structuredClone(random.pick(values)),
          );
        break;
      case 5: {
        const value = (container as Record<string, unknown>)[key];
        if (typeof value === "number") set(container, key, value + random.pick([-1, 1, 0.5, 1000, 2 ** 31]));
        else if (typeof value === "string") set(container, key, value.slice(0, -1));
        break;
      }
      default: {
        const second = keys.length === 0 ? "0" : random.pick(keys);
        const record = container as Record<string, unknown>;
        const [a, b] = [record[key], record[second]];
        set(container, key, b);
        set(container, second, a);
      }
    }
  }
  return document;
}

/** A document as text, mostly after changes of its values, else of its bytes. */
export function mutateJson(random: Random, good: unknown): Buffer<ArrayBuffer> {
  if (random.once(4)) return mutateBytes(random, Buffer.from(JSON.stringify(good)));
  return Buffer.from(JSON.stringify(mutateDocument(random, good)) ?? "");
}
