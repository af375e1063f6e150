import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import {
  FileError,
  FormatError,
  input,
  layers,
  type Model,
  type ModelData,
  model,
  ndarray,
  OptionError,
  SconceError,
  ShapeError,
  type SymbolicTensor,
} from "../../src/index.ts";
import { readHdf5 } from "../../src/saving/foreign/hdf5/file.ts";
import { findKerasWeights } from "../../src/saving/foreign/keras.ts";
import { findTorchWeights } from "../../src/saving/foreign/pytorch.ts";
import { readSafetensors } from "../../src/saving/foreign/safetensors.ts";
import { checkFound, type WantedLayer } from "../../src/saving/foreign/weights.ts";
import { formulaIntegers } from "../helpers/formula-weights.ts";

const golden = fileURLToPath(new URL("../golden/weights/", import.meta.url));

type Layers = readonly (readonly [type: string, options: object, inner?: Layers[number]])[];
interface Expected {
  shape: number[];
  output: number[];
}
interface Case extends Expected {
  name: string;
  layers: Layers;
}

const read = async <T>(name: string): Promise<T> => JSON.parse(await readFile(golden + name, "utf8")) as T;
const keras = await read<{ sequences: Case[]; textbook: Expected }>("keras.json");
const torch = await read<{ sequences: Case[]; textbook: Expected; half: Expected }>("torch.json");

const makers = layers as unknown as Readonly<
  Record<string, (...args: unknown[]) => (x: SymbolicTensor) => SymbolicTensor>
>;

/** The first type of layer that does not exist. */
function missing(parts: Layers): string | undefined {
  for (const [type, , inner] of parts) {
    if (!(type in layers)) return type;
    const deeper = inner === undefined ? undefined : missing([inner]);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}

function sequence(parts: Layers): Model {
  const made = ([type, options, inner]: Layers[number]): ((x: SymbolicTensor) => SymbolicTensor) =>
    makers[type]!(inner === undefined ? options : { ...options, layer: made(inner) });
  const ids = input({ shape: [null], dtype: "int32" });
  let tensor: SymbolicTensor = ids;
  for (const part of parts) tensor = made(part)(tensor);
  return model({ inputs: ids, outputs: tensor });
}

const data = (seed: number, length: number, limit: number) =>
  ndarray(formulaIntegers(seed, 2 * length, 1, limit), [2, length]);

/** The translator of the golden scripts. */
function textbook(options: { encoder?: string; second?: string; units?: number; maskZero?: boolean } = {}): Model {
  const { encoder = "encoder", second = "decoder", units = 5, maskZero = true } = options;
  const reader = input({ shape: [null], dtype: "int32", name: "reader" });
  const writer = input({ shape: [null], dtype: "int32", name: "writer" });
  const words = layers.embedding({ inputDim: 8, outputDim: 4, maskZero, name: "words" });
  const [, h, c] = layers.lstm({ units, returnState: true, name: encoder })(words(reader));
  const characters = layers.embedding({ inputDim: 9, outputDim: 4, name: "characters" });
  const decoder = layers.lstm({ units, returnSequences: true, name: second });
  const states = decoder(characters(writer), { initialState: [h, c] });
  const next = layers.dense({ units: 9, activation: "softmax", name: "next" });
  return model({ inputs: [reader, writer], outputs: next(states) });
}

const pairs = () => [data(1, 6, 8), data(2, 4, 9)];

async function equal(t: ExecutionContext, net: Model, x: ModelData, expected: Expected) {
  const got = await net.predict(x);
  if (Array.isArray(got)) return t.fail("expected one output");
  t.deepEqual([...got.shape], expected.shape);
  const worst = [...got.data].reduce(
    (most, value, index) => Math.max(most, Math.abs(value - expected.output[index]!)),
    0,
  );
  return t.true(worst < 1e-5, `${worst}`);
}

/** A layer as a file is searched for it, whether it can be made or not; and the size of what it gives. */
function wanted(part: Layers[number], name: string, width: number): { layer: WantedLayer; width: number } {
  const [type, given, inner] = part;
  const options = { ...given, ...(inner === undefined ? {} : { layer: { type: inner[0], options: inner[1] } }) };
  const {
    units = 0,
    outputDim = 0,
    inputDim = 0,
    resetAfter = true,
    useBias = true,
    mergeMode,
  } = given as Record<string, never>;
  const gates = { lstm: 4, gru: 3, simpleRnn: 1, dense: 0 }[type as "lstm"];
  const recurrent = (bias: number[]): [number[][], number] => [
    [[width, gates * units], [units, gates * units], ...(useBias ? [bias] : [])],
    units,
  ];
  const deeper = inner === undefined ? undefined : wanted(inner, name, width);
  const innerShapes = deeper?.layer.weights.map(({ shape }) => [...shape]) ?? [];
  const kinds: Record<string, () => [shapes: number[][], width: number]> = {
    embedding: () => [[[inputDim, outputDim]], outputDim],
    layerNormalization: () => [[[width], [width]], width],
    dropout: () => [[], width],
    dense: () => [[[width, units], ...(useBias ? [[units]] : [])], units],
    lstm: () => recurrent([4 * units]),
    gru: () => recurrent(resetAfter ? [2, 3 * units] : [3 * units]),
    simpleRnn: () => recurrent([units]),
    timeDistributed: () => [innerShapes, deeper!.width],
    bidirectional: () => [[...innerShapes, ...innerShapes], deeper!.width * (mergeMode === "sum" ? 1 : 2)],
  };
  const [shapes, size] = kinds[type]!();
  return { layer: { name, type, options, weights: shapes.map((shape) => ({ name: "weight", shape })) }, width: size };
}

for (const { name, layers: parts } of [
  ...keras.sequences,
  ...torch.sequences.map((one) => ({ ...one, name: `torch ${one.name}` })),
]) {
  test(`the weights of all layers are found in order: ${name}`, async (t) => {
    let width = 0;
    const all = parts.map((part, index) => {
      const made = wanted(part, `layer${index}`, width);
      width = made.width;
      return made.layer;
    });
    const isTorch = name.startsWith("torch ");
    const file = golden + (isTorch ? `torch-${name.slice(6)}.safetensors` : `keras-${name}.weights.h5`);
    const content = await readFile(file);
    const found = isTorch
      ? findTorchWeights(name, readSafetensors(file, content).tensors, all, undefined)
      : findKerasWeights(name, readHdf5(file, content), all, false);
    t.is(found.length, all.filter(({ weights }) => weights.length > 0).length);
    for (const part of found) {
      t.notThrows(() => checkFound(name, part));
      for (const { shape, make } of part.weights) {
        t.is(
          (await make()).length,
          shape.reduce((product, size) => product * size, 1),
        );
      }
    }
  });
}

for (const [maker, file, { sequences }] of [
  ["Keras", (name: string) => `keras-${name}.weights.h5`, keras],
  ["PyTorch", (name: string) => `torch-${name}.safetensors`, torch],
] as const) {
  for (const { name, layers: parts, ...expected } of sequences) {
    test(`${maker}: ${name} predicts the same with the weights of its file`, async (t) => {
      const absent = missing(parts);
      if (absent !== undefined) {
        t.log(`not tested: there is no layer ${absent}`);
        t.pass();
        return;
      }
      await using net = sequence(parts);
      await net.loadWeights(golden + file(name));
      await equal(t, net, data(1, 6, 7), expected);
    });
  }
}

for (const ending of [".weights.h5", ".keras"]) {
  test(`Keras: a translator from ${ending}, with an optimizer's state in the file`, async (t) => {
    await using net = textbook();
    await net.loadWeights(`${golden}keras-textbook${ending}`);
    await equal(t, net, pairs(), keras.textbook);
  });
}

test("Keras: byName takes the layers whose names agree and leaves the others alone", async (t) => {
  await using whole = textbook();
  await whole.loadWeights(`${golden}keras-textbook.keras`, { byName: true });
  await equal(t, whole, pairs(), keras.textbook);

  await using net = textbook({ encoder: "another" });
  await net.build({ seed: 3 });
  const before = await net.getLayer("another").getWeights();
  await net.loadWeights(`${golden}keras-textbook.keras`, { byName: true });
  t.deepEqual(await net.getLayer("another").getWeights(), before);
  t.deepEqual(await net.getLayer("decoder").getWeights(), await whole.getLayer("decoder").getWeights());
});

test("Keras: zip archives may be compressed", async (t) => {
  const path = await scratch(t, "model.keras");
  await writeFile(path, zip("model.weights.h5", await readFile(`${golden}keras-textbook.weights.h5`)));
  await using net = textbook();
  await net.loadWeights(path);
  await equal(t, net, pairs(), keras.textbook);
});

test("PyTorch: layers take the modules with their names", async (t) => {
  await using net = textbook({ maskZero: false });
  await net.loadWeights(`${golden}torch-textbook.safetensors`);
  await equal(t, net, pairs(), torch.textbook);
  await net.loadWeights(`${golden}torch-textbook-half.safetensors`);
  await equal(t, net, pairs(), torch.half);
});

test("PyTorch: a mapping names modules, and layers without one keep their weights", async (t) => {
  await using net = textbook({ encoder: "another", maskZero: false });
  const path = `${golden}torch-textbook.safetensors`;
  const own = ["words", "characters", "decoder", "next"];
  const mapping = { another: { prefix: "encoder" }, ...Object.fromEntries(own.map((name) => [name, name])) };
  await net.loadWeights(path, { mapping });
  await equal(t, net, pairs(), torch.textbook);
  const before = await net.getWeights();
  await net.loadWeights(path, { mapping: { another: "decoder" } });
  const after = await net.getWeights();
  const changed = after.flatMap((weight, index) => (weight.data.every((value, place) => value === before[index]!.data[place]) ? [] : [index])); // biome-ignore format: long
  t.deepEqual(changed, [2, 3, 4]);
  t.deepEqual(after.slice(2, 5), await net.getLayer("decoder").getWeights());
});

test("PyTorch: layers of a stacked module and single directions are named in a mapping", async (t) => {
  await using net = sequence([
    ["embedding", { inputDim: 7, outputDim: 8, name: "words" }],
    ["lstm", { units: 4, name: "deep" }],
  ]);
  const path = `${golden}torch-bidirectional-lstm.safetensors`;
  const weights = async (reverse: boolean) => {
    await net.loadWeights(path, { mapping: { deep: { prefix: "1.rnn", layer: 1, reverse } } });
    return net.getLayer("deep").getWeights();
  };
  const [kernel] = await weights(true);
  const raw = await readSafetensors(path, await readFile(path))
    .tensors.get("1.rnn.weight_ih_l1_reverse")!
    .read();
  t.deepEqual(kernel!.shape, [8, 16]);
  t.true(kernel!.data.every((value, index) => value === raw[(index % 16) * 8 + Math.floor(index / 16)]));
  await t.throwsAsync(weights(false), { instanceOf: ShapeError, message: /deep \(lstm\).*both directions/ });
});

test("what does not fit is told by layer, expected and got, and nothing is changed", async (t) => {
  await using small = textbook({ units: 6, maskZero: false });
  await using other = sequence([
    ["embedding", { inputDim: 7, outputDim: 3 }],
    ["dense", { units: 5 }],
  ]);
  await using another = textbook({ encoder: "another", second: "third", maskZero: false });
  for (const net of [small, other, another]) await net.build({ seed: 1 });
  const plain = join(golden, "keras-lstm.weights.h5");
  const torchBook = `${golden}torch-textbook.safetensors`;
  const cases: [net: Model, path: string, options: object, type: new (...args: never[]) => Error, message: RegExp][] = [
    [small, `${golden}keras-textbook.keras`, {}, ShapeError, /layer encoder \(lstm\): expected kernel \[4, 24\], got layers\/lstm\/cell\/vars\/0 \[4, 20\]/],
    [small, plain, {}, FormatError, /layer characters \(embedding\): expected group layers\/embedding_1, the file has dense, embedding, lstm/],
    [other, plain, {}, FormatError, /the file has weights of layers\/lstm \(lstm\), but the model has no such layer/],
    [other, `${golden}keras-textbook.keras`, { byName: true }, OptionError, /no layer of the model has a name of the file; there are .*decoder/],
    [small, torchBook, {}, ShapeError, /layer encoder \(lstm\): expected kernel \[4, 24\], got encoder\.weight_ih_l0, transposed, \[4, 20\]/],
    [another, torchBook, {}, OptionError, /layer another, third \(lstm, .*cannot be told: "decoder" \(lstm\), "encoder" \(lstm\); tell it, as in mapping: \{ "another"/],
    [other, torchBook, {}, OptionError, /layer embedding \(embedding, embeddings \[7, 3\]\).*none of .* fits/],
    [small, torchBook, { mapping: { encoder: "words" } }, ShapeError, /layer encoder \(lstm\): got "words" \(table\)/],
    [small, torchBook, { mapping: { encoder: "missing" } }, OptionError, /no module "missing" \(layer 0\); the file has "characters" \(table\)/],
    [small, torchBook, { mapping: { encoder: { prefix: "encoder", layer: 1 } } }, OptionError, /no module "encoder" \(layer 1\)/],
    [small, torchBook, { mapping: { missing: "words" } }, OptionError, /no layer "missing" with weights; there are words/],
    [small, torchBook, { mapping: { encoder: 3 } }, OptionError, /layer encoder needs the name of a module/],
    [small, torchBook, { mapping: [] }, OptionError, /mapping must be an object/],
    [small, torchBook, { byName: true }, OptionError, /byName has no meaning for files of pytorch/],
    [small, plain, { mapping: {} }, OptionError, /mapping has no meaning for files of keras/],
    [small, plain, { format: "sconce", byName: true }, OptionError, /byName has no meaning for files of sconce/],
    [small, plain, { format: "pytorch" }, FormatError, /this is an HDF5 file/],
    [small, `${golden}keras-textbook.keras`, { format: "pytorch" }, FormatError, /torch\.save/],
    [small, torchBook, { format: "keras" }, FormatError, /neither HDF5 nor/],
    [small, torchBook, { format: "onnx" }, OptionError, /format must be one of sconce, keras, pytorch/],
    [small, torchBook, { formats: 1 }, OptionError, /unknown option "formats"/],
    [small, `${golden}none.h5`, {}, FileError, /none\.h5/],
    [small, golden, {}, FileError, /weights/],
    [small, `${golden}hdf5-dense-links.h5`, {}, FormatError, /index of HDF5 1\.8/],
  ]; // biome-ignore format: one case a line
  for (const [net, path, options, instanceOf, message] of cases) {
    const before = await net.getWeights();
    await t.throwsAsync(net.loadWeights(path, options), { instanceOf, message }, `${path} ${JSON.stringify(options)}`);
    t.deepEqual(await net.getWeights(), before);
  }
  const controller = new AbortController();
  const reason = new Error("enough");
  controller.abort(reason);
  await t.throwsAsync(small.loadWeights(torchBook, { signal: controller.signal }), { is: reason });
});

test("HDF5 as newer libraries write it, in chunks, compressed, and in other types", async (t) => {
  const ramp = Float32Array.from({ length: 77 }, (_, index) => index);
  for (const version of ["earliest", "v110", "latest"]) {
    const root = readHdf5("file", await readFile(`${golden}hdf5-${version}.h5`));
    const vars = root.groups.get("layers")!.groups.get("dense")!.groups.get("vars")!;
    t.is(vars.attributes.get("name"), "plain");
    t.deepEqual(await vars.datasets.get("0")!.read(), ramp);
    if (version !== "earliest") continue;
    for (const key of ["1", "2", "3"]) t.deepEqual(await vars.datasets.get(key)!.read(), ramp, key);
    t.deepEqual(vars.datasets.get("4")!.shape, [2, 3, 5]);
    t.deepEqual(await vars.datasets.get("4")!.read(), ramp.slice(0, 30));
    t.deepEqual(await vars.datasets.get("5")!.read(), Float32Array.of(4));
    await t.throwsAsync(vars.datasets.get("6")!.read(), { instanceOf: FormatError, message: /no floating-point/ });
    t.deepEqual(await vars.datasets.get("7")!.read(), new Float32Array(3));
  }
});

test("files that are damaged anywhere are loaded or refused with a typed error", async (t) => {
  await using net = textbook({ maskZero: false });
  await net.build();
  const path = await scratch(t, "damaged");
  for (const name of [
    "keras-textbook.weights.h5",
    "keras-textbook.keras",
    "torch-textbook.safetensors",
    "hdf5-earliest.h5",
  ]) {
    const good = await readFile(golden + name);
    const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) });
    const cut = fc.option(fc.nat(good.length), { nil: good.length, freq: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), cut, async (changes, length) => {
        const bytes = Buffer.from(good);
        // Most of an HDF5 file are values: its structure lies in the first bytes of each object.
        for (const { at, byte } of changes) bytes[at] = byte;
        await writeFile(path, bytes.subarray(0, length));
        try {
          await net.loadWeights(path);
        } catch (error) {
          t.true(error instanceof SconceError && error.code !== "INTERNAL", String(error));
        }
      }),
      { numRuns: 60, seed: 1 },
    );
  }
});

async function scratch(t: ExecutionContext, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sconce-load-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return join(folder, name);
}

/** An archive with one entry that is deflated. */
function zip(name: string, content: Buffer, declared = content.length): Buffer {
  const packed = deflateRawSync(content);
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32LE(packed.length, 0);
  sizes.writeUInt32LE(declared, 4);
  const text = Buffer.from(name);
  const part = (head: number[], middle: number[]) =>
    Buffer.concat([
      Buffer.from(head),
      Buffer.alloc(4),
      sizes,
      Buffer.from([text.length, 0, 0, 0]),
      Buffer.from(middle),
      text,
    ]);
  const local = part([0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 0, 0, 0, 0, 0], []);
  const entry = part([0x50, 0x4b, 1, 2, 20, 0, 20, 0, 0, 0, 8, 0, 0, 0, 0, 0], Array<number>(14).fill(0));
  const end = Buffer.from([0x50, 0x4b, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  end.writeUInt32LE(entry.length, 12);
  end.writeUInt32LE(local.length + packed.length, 16);
  return Buffer.concat([local, packed, entry, end]);
}

test("archives that are hostile are refused", async (t) => {
  await using net = textbook();
  await net.build();
  const path = await scratch(t, "hostile.keras");
  const weights = await readFile(`${golden}keras-textbook.weights.h5`);
  const bomb = zip("model.weights.h5", Buffer.alloc(1 << 20), 2 ** 31);
  const cases: [content: Buffer, message: RegExp][] = [
    [zip("other.h5", weights), /there is no model\.weights\.h5 in it; it holds other\.h5/],
    [bomb, /cannot have 2147483648 bytes/],
    [zip("model.weights.h5", weights, weights.length - 1), /cannot be unpacked|expected/],
    [zip("model.weights.h5", Buffer.from("text")), /no HDF5 file/],
    [zip("model.weights.h5", weights).subarray(0, -30), /no zip archive, or it is cut off/],
  ];
  for (const [content, message] of cases) {
    await writeFile(path, content);
    await t.throwsAsync(net.loadWeights(path), { instanceOf: FormatError, message });
  }
});

test("a copy of a file of sconce's own is still read by the engine", async (t) => {
  await using net = textbook();
  await net.build({ seed: 5 });
  const path = await scratch(t, "own.safetensors");
  await net.saveWeights(path);
  await copyFile(path, `${path}.copy`);
  await using other = textbook();
  await other.loadWeights(`${path}.copy`);
  t.deepEqual(await other.getWeights(), await net.getWeights());
});
