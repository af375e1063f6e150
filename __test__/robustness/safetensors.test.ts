import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { FileError, FormatError, SconceError } from "../../src/index.ts";
import { classifier, floats, ids } from "../boundary/small-model.ts";

/** A model, its weights, and a file that other bytes can be written to. */
async function saved(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), "sconce-tensors-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "weights.safetensors");
  const net = classifier({ optimizer: "adam" });
  await net.trainOnBatch(floats(4, 3), ids(4, 4));
  await net.saveWeights(path);
  const good = await readFile(path);
  return { folder, path, net, good, before: await net.getWeights() };
}

/** A safetensors file with any header. */
function file(header: unknown, data: Uint8Array | number = 0, length?: bigint): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([size, text, typeof data === "number" ? Buffer.alloc(data) : data]);
}

const tensor = (shape: number[], from: number, to: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [from, to],
});
const kernel = tensor([3, 4], 0, 48);
const bias = tensor([4], 48, 64);
const names = { "classes/kernel": kernel, "classes/bias": bias };

test("files of weights that are hostile or belong to another model are refused, and change nothing", async (t) => {
  const { path, net, good, before, folder } = await saved(t);
  const header = { __metadata__: { format: "sconce-weights", version: "1" }, ...names };
  const cases: [name: string, content: Uint8Array][] = [
    ["empty", Buffer.alloc(0)],
    ["seven bytes", Buffer.alloc(7)],
    ["a header length of 0", file("", 0)],
    ["a header length of 2^64 - 1", file(header, 64, 2n ** 64n - 1n)],
    ["a header length of 2^63", file(header, 64, 2n ** 63n)],
    ["a header length of 2^40", file(header, 64, 2n ** 40n)],
    ["a header beyond the end", file(header, 0, 100_000n)],
    ["no JSON", file("{", 64)],
    ["no UTF-8", Buffer.concat([file("", 0, 2n), Buffer.from([0xff, 0xfe])])],
    ["JSON that is nested deeply", file("[".repeat(200_000), 64)],
    ["a list", file([], 64)],
    ["null", file("null", 64)],
    ["no tensors", file({}, 0)],
    ["a missing tensor", file({ "classes/kernel": kernel }, 48)],
    ["an extra tensor", file({ ...names, "../x": tensor([0], 64, 64) }, 64)],
    ["a name of Object's prototype", file({ ...names, ["__proto__"]: tensor([0], 64, 64), constructor: tensor([0], 64, 64) }, 64)], // biome-ignore format: long
    ["another shape of the same size", file({ ...names, "classes/kernel": tensor([4, 3], 0, 48) }, 64)],
    ["another type", file({ ...names, "classes/kernel": tensor([3, 4], 0, 48, "I32") }, 64)],
    ["an unknown type", file({ ...names, "classes/kernel": tensor([3, 4], 0, 48, "F33") }, 64)],
    ["sizes that overflow", file({ ...names, "classes/kernel": tensor([2 ** 53 - 1, 2 ** 53 - 1], 0, 48) }, 64)],
    ["a size of 2^64", file(JSON.stringify(header).replace("[3,4]", "[18446744073709551616]"), 64)],
    ["negative sizes", file({ ...names, "classes/kernel": tensor([-3, -4], 0, 48) }, 64)],
    ["fractional sizes", file({ ...names, "classes/kernel": tensor([1.5, 8], 0, 48) }, 64)],
    ["offsets beyond the end", file({ ...names, "classes/bias": tensor([4], 48, 2 ** 40) }, 64)],
    ["offsets that are swapped", file({ ...names, "classes/bias": tensor([4], 64, 48) }, 64)],
    ["offsets that overlap", file({ ...names, "classes/bias": tensor([4], 32, 48) }, 48)],
    ["offsets that leave a gap", file({ ...names, "classes/bias": tensor([4], 52, 68) }, 68)],
    ["a tail", Buffer.concat([good, Buffer.alloc(4)])],
    ["metadata that is no text", file({ ...names, __metadata__: { version: 1 } }, 64)],
  ];
  for (const [name, content] of cases) {
    await writeFile(path, content);
    const error = await t.throwsAsync(net.loadWeights(path), { instanceOf: FormatError }, name);
    t.true(error?.message.includes(path), `${name}: ${error?.message}`);
  }
  await t.throwsAsync(net.loadWeights(folder), { instanceOf: FileError, message: /not a file/ });
  await t.throwsAsync(net.loadWeights(join(folder, "none")), { instanceOf: FileError, message: /none/ });
  await t.throwsAsync(net.loadWeights(`${path}\0`), { instanceOf: SconceError });
  t.deepEqual(await net.getWeights(), before);
  await writeFile(path, good);
  await t.notThrowsAsync(net.loadWeights(path));
});

test("a tensor that is there twice is never read in part", async (t) => {
  const { path, net, before } = await saved(t);
  const twice = `{"classes/kernel":${JSON.stringify(kernel)},"classes/bias":${JSON.stringify(bias)},"classes/bias":${JSON.stringify(bias)}}`;
  await writeFile(path, file(twice, 64));
  const outcome = await net.loadWeights(path).then(
    () => "loaded",
    (error: unknown) => error instanceof FormatError,
  );
  const zeros = (await net.getWeights()).every(({ data }) => data.every((value) => value === 0));
  t.true(outcome === "loaded" ? zeros : outcome);
  if (outcome !== "loaded") t.deepEqual(await net.getWeights(), before);
});

for (const kind of ["weights", "state of the optimiser"] as const) {
  test(`a file that is cut short or has wrong bytes never does harm: ${kind}`, async (t) => {
    const { path, net } = await saved(t);
    if (kind !== "weights") await net.trainer().saveState(path);
    const good = await readFile(path);
    const load = () => (kind === "weights" ? net.loadWeights(path) : net.trainer().loadState(path));
    for (let size = 0; size < good.length; size += 1 + Math.floor(good.length / 60)) {
      await writeFile(path, good.subarray(0, size));
      await t.throwsAsync(load(), { instanceOf: FormatError }, `${size} bytes`);
    }
    const headerLength = 8 + Number(good.readBigUInt64LE());
    const flips = fc.array(fc.tuple(fc.nat(headerLength - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const bad = Buffer.from(good);
        for (const [place, bits] of changes) bad[place]! ^= bits;
        await writeFile(path, bad);
        try {
          await load();
          await net.trainOnBatch(floats(4, 3), ids(4, 4));
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
        }
      }),
      { numRuns: 300, seed: 5 },
    );
    await writeFile(path, good);
    await t.notThrowsAsync(load());
  });
}

test("state of an optimiser with numbers that no run can reach is refused or harmless", async (t) => {
  const { path, net } = await saved(t);
  await net.trainer().saveState(path);
  const good = await readFile(path, "latin1");
  const count = String.raw`\"iterations\":\"1\"`;
  t.true(good.includes(count));
  for (const text of ["-1", "x", "", "1e3", "18446744073709551616", "18446744073709551615", "9007199254740993"]) {
    const length = 8 + Number(Buffer.from(good, "latin1").readBigUInt64LE());
    const header = good.slice(8, length).trimEnd().replace(count, count.replace("1", text));
    await writeFile(path, file(header, Buffer.from(good.slice(length), "latin1")));
    try {
      await net.trainer().loadState(path);
      await net.trainOnBatch(floats(4, 3), ids(4, 4));
      await net.trainOnBatch(floats(4, 3), ids(4, 4));
    } catch (error) {
      t.true(error instanceof SconceError && error.code !== "INTERNAL", `${text}: ${error}`);
    }
  }
});

test("weights are saved whole or not at all, and leave nothing beside them", async (t) => {
  const { folder, path, net, good } = await saved(t);
  await mkdir(join(folder, "taken"));
  await writeFile(join(folder, "taken", "mark"), "");
  await t.throwsAsync(net.saveWeights(join(folder, "taken")), { instanceOf: FileError, message: /taken/ });
  await t.throwsAsync(net.saveWeights(join(path, "below", "a", "file")), { instanceOf: FileError });
  await t.throwsAsync(net.saveWeights(join(folder, "none", "weights")), { instanceOf: FileError });
  await t.throwsAsync(net.saveWeights(""), { instanceOf: SconceError });
  t.deepEqual((await readdir(folder)).sort(), ["taken", "weights.safetensors"]);
  t.deepEqual(await readFile(path), good);
  await net.saveWeights(path);
  t.deepEqual((await readdir(folder)).sort(), ["taken", "weights.safetensors"]);
});
