import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FileError, FormatError } from "../../src/index.ts";
import { classifier, floats } from "../boundary/small-model.ts";

/** A safetensors file of a header and its data. */
function safetensors(header: unknown, data: Uint8Array, length?: bigint): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([size, text, data]);
}

const kernel = { dtype: "F32", shape: [3, 4], data_offsets: [0, 48] };
const bias = { dtype: "F32", shape: [4], data_offsets: [48, 64] };
const names = { "classes/kernel": kernel, "classes/bias": bias };
const values = new Uint8Array(64);
const long = JSON.stringify(names);

/** Files that are no weights of the model, and what the message says. */
const files: [name: string, content: Buffer, message: RegExp][] = [
  ["an empty file", Buffer.alloc(0), /damaged/],
  ["a few bytes", Buffer.from([1, 2, 3]), /damaged/],
  ["text", Buffer.from("these are no weights at all"), /damaged/],
  ["a header longer than the file", safetensors(names, values, 1n << 20n), /damaged/],
  ["a header of 2^63 bytes", safetensors(names, values, 1n << 63n), /damaged/],
  ["a header that is cut off", safetensors(long.slice(0, -9), values), /damaged/],
  ["a header that is no object", safetensors("[]", values), /damaged/],
  ["data that are cut off", safetensors(names, values.subarray(0, 60)), /damaged/],
  ["data that go on", safetensors(names, new Uint8Array(80)), /damaged/],
  [
    "offsets that overflow",
    safetensors({ ...names, "classes/bias": { ...bias, data_offsets: [48, 2 ** 53] } }, values),
    /damaged/,
  ],
  [
    "offsets backwards",
    safetensors({ ...names, "classes/bias": { ...bias, data_offsets: [64, 48] } }, values),
    /damaged/,
  ],
  [
    "overlapping tensors",
    safetensors({ ...names, "classes/bias": { ...bias, data_offsets: [40, 56] } }, values),
    /damaged/,
  ],
  [
    "a shape that overflows",
    safetensors({ ...names, "classes/bias": { ...bias, shape: [2 ** 40, 2 ** 40] } }, values),
    /damaged/,
  ],
  ["a negative size", safetensors({ ...names, "classes/bias": { ...bias, shape: [-4] } }, values), /damaged/],
  ["an unknown type", safetensors({ ...names, "classes/bias": { ...bias, dtype: "F31" } }, values), /damaged/],
  ["another type", safetensors({ ...names, "classes/bias": { ...bias, dtype: "I32" } }, values), /expected F32/],
  [
    "another shape",
    safetensors({ ...names, "classes/kernel": { ...kernel, shape: [4, 3] } }, values),
    /classes\/kernel: expected F32 of shape \[3, 4\]/,
  ],
  [
    "a tensor missing",
    safetensors({ "classes/kernel": kernel }, values.subarray(0, 48)),
    /lacks the tensor classes\/bias/,
  ],
  [
    "a tensor too many",
    safetensors({ ...names, "../escape": { dtype: "F32", shape: [1], data_offsets: [64, 68] } }, new Uint8Array(68)),
    /\.\.\/escape that the model lacks/,
  ],
];

async function trained() {
  const net = classifier();
  await net.build({ seed: 3 });
  return net;
}

test("files that are no weights of the model are refused, and the weights stay", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-weights-"));
  await using net = await trained();
  const before = await net.getWeights();
  for (const [name, content, message] of files) {
    const path = join(folder, "weights.safetensors");
    await writeFile(path, content);
    const error = await t.throwsAsync(net.loadWeights(path), { instanceOf: FormatError, message }, name);
    t.true(error?.message.includes(path), `${name}: ${error?.message}`);
    t.deepEqual(await net.getWeights(), before, name);
  }
  await t.throwsAsync(net.loadWeights(join(folder, "nothing")), { instanceOf: FileError, message: /nothing/ });
  await t.throwsAsync(net.loadWeights(folder), { instanceOf: FileError, message: /not a file/ });
  t.deepEqual(await net.getWeights(), before);
  await rm(folder, { recursive: true });
});

test("every bit flipped in the header or every length of a cut file gives a typed error or the same shapes", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-weights-"));
  const path = join(folder, "weights.safetensors");
  await using net = await trained();
  await net.saveWeights(path);
  const whole = await readFile(path);
  const header = 8 + Number(whole.readBigUInt64LE());
  for (let byte = 0; byte < header; byte += 3) {
    const flipped = Buffer.from(whole);
    flipped[byte]! ^= 1 << (byte % 8);
    await writeFile(path, flipped);
    // A flip in the metadata or in white space may do no harm.
    await net.loadWeights(path).catch((error: unknown) => t.true(error instanceof FormatError, String(error)));
  }
  for (let length = 0; length < whole.length; length += 7) {
    await writeFile(path, whole.subarray(0, length));
    await t.throwsAsync(net.loadWeights(path), { instanceOf: FormatError }, `${length} bytes`);
  }
  t.is((await net.predict(floats(2, 3))).shape[1], 4);
  await rm(folder, { recursive: true });
});

test("weights cannot be written below a file, and nothing is left there", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-weights-"));
  await writeFile(join(folder, "file"), "mine");
  await using net = await trained();
  await t.throwsAsync(net.saveWeights(join(folder, "file", "weights")), { instanceOf: FileError });
  await t.throwsAsync(net.save(join(folder, "file", "model")), { instanceOf: FileError });
  t.deepEqual(await readdir(folder), ["file"]);
  t.is(await readFile(join(folder, "file"), "utf8"), "mine");
  await rm(folder, { recursive: true });
});

/** Mounts a small file system in memory; its path, or why that is not possible. */
function mountSmall(options: string): { path: string } | { reason: string } {
  const path = mkdtempSync(join(tmpdir(), "sconce-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path], { stdio: "pipe" });
    return { path };
  } catch (error) {
    return { reason: error instanceof Error ? error.message.split("\n")[0]! : String(error) };
  }
}

test("a full disk gives a typed error, and what was saved before stays", async (t) => {
  const mounted = mountSmall("size=256k");
  if ("reason" in mounted) {
    t.log(`skipped: a file system in memory cannot be mounted here (${mounted.reason})`);
    t.pass();
    return;
  }
  const { path } = mounted;
  try {
    await using net = await trained();
    const weights = join(path, "weights.safetensors");
    const saved = join(path, "model");
    await net.saveWeights(weights);
    await net.save(saved);
    const before = [await readFile(weights), await readFile(join(saved, "config.json"))];
    const names = (await readdir(path)).sort();
    // Fill the rest, in ever smaller pieces.
    const filler: string[] = [];
    for (let size = 1 << 17; size >= 1; size >>= 1) {
      for (;;) {
        const name = `filler-${filler.length}`;
        const written = await writeFile(join(path, name), Buffer.alloc(size)).then(
          () => true,
          () => false,
        );
        if (!written) {
          await rm(join(path, name), { force: true });
          break;
        }
        filler.push(name);
        if (filler.length > 4000) break;
      }
    }
    await t.throwsAsync(net.saveWeights(weights), { instanceOf: FileError, message: /space|full/i });
    await t.throwsAsync(net.save(saved), { instanceOf: FileError });
    t.deepEqual([await readFile(weights), await readFile(join(saved, "config.json"))], before);
    t.deepEqual((await readdir(path)).filter((name) => !name.startsWith("filler")).sort(), names);
    await Promise.all(filler.map((name) => rm(join(path, name))));
    await net.saveWeights(weights);
    await net.loadWeights(weights);
  } finally {
    execFileSync("umount", ["-l", path]);
  }
});

test("a folder that may only be read gives a typed error", async (t) => {
  const mounted = mountSmall("size=1m");
  if ("reason" in mounted) {
    t.log(`skipped: a file system in memory cannot be mounted here (${mounted.reason})`);
    t.pass();
    return;
  }
  const { path } = mounted;
  try {
    await mkdir(join(path, "inside"));
    await using net = await trained();
    await net.saveWeights(join(path, "weights"));
    execFileSync("mount", ["-o", "remount,ro", path]);
    await t.throwsAsync(net.saveWeights(join(path, "weights")), { instanceOf: FileError, message: /weights/ });
    await t.throwsAsync(net.save(join(path, "inside", "model")), { instanceOf: FileError });
    await net.loadWeights(join(path, "weights"));
    t.deepEqual((await readdir(path)).sort(), ["inside", "weights"]);
  } finally {
    execFileSync("umount", ["-l", path]);
  }
});
