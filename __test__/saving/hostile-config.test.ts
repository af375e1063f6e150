import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FileError, FormatError, loadModel, OptionError } from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";

/** A copy of `node` with another value at a place; `undefined` takes the place away. */
function changed(node: unknown, [key = "", ...rest]: readonly string[], value: unknown): unknown {
  const next = (child: unknown) => (rest.length === 0 ? value : changed(child, rest, value));
  if (!Array.isArray(node)) return { ...(node as object), [key]: next((node as Record<string, unknown>)[key]) };
  if (!/^-?\d+$/.test(key)) {
    return node.map((child: { type: string }) => (key === "*" || child.type === key ? next(child) : child));
  }
  const index = key === "-1" ? node.length - 1 : Number(key);
  const result = [...node];
  result[index] = next(node[index]);
  return result.filter((child) => child !== undefined);
}

/** A saved model whose config.json is changed. */
async function savedModel() {
  const folder = await mkdtemp(join(tmpdir(), "sconce-config-"));
  const place = join(folder, "model");
  const { translator } = textbook();
  translator.compile({ loss: "categoricalCrossentropy", metrics: ["accuracy"] });
  await translator.build();
  await translator.save(place);
  const path = join(place, "config.json");
  const text = await readFile(path, "utf8");
  const write = (place: string, value: unknown) =>
    writeFile(path, JSON.stringify(place === "" ? value : changed(JSON.parse(text), place.split("."), value)));
  return { place, path, write, restore: () => writeFile(path, text), remove: () => rm(folder, { recursive: true }) };
}

/** What is changed: where (`-1` is the last entry, the name of a type all layers of it), to what, and a part of the message. */
const edits: [name: string, path: string, value: unknown, message?: RegExp][] = [
  ["null", "", null],
  ["a list", "", []],
  ["another format", "format", "keras", /format must be sconce-model/],
  ["an unknown version", "version", 2, /version 2 is not known/],
  ["no versions", "versions", undefined],
  ["a name that is a number", "name", 1],
  ["a name with a path", "name", "../../etc/passwd"],
  ["no graph", "graph", undefined],
  ["another graph format", "graph.format", "onnx"],
  ["layers that are no list", "graph.layers", {}],
  ["a layer that is null", "graph.layers.0", null],
  ["a layer named like a path", "graph.layers.2.name", "../x", /name must be/],
  ["two layers of one name", "graph.layers.*.name", "same"],
  ["an unknown type", "graph.layers.2.type", "lambda", /type must be one of/],
  ["an unknown operation", "graph.layers.2.type", "ops.evil", /unknown variant `evil`/],
  ["a weight with the options of a layer", "graph.layers.2.type", "weight", /unknown option/],
  ["a type of Object's prototype", "graph.layers.2.type", "constructor"],
  ["trainable that is text", "graph.layers.2.trainable", "yes"],
  ["options that are null", "graph.layers.2.options", null],
  ["an unknown option", "graph.layers.-1.options.code", "process.exit()", /unknown option "code"/],
  ["a missing option", "graph.layers.-1.options.useBias", undefined, /option useBias is missing/],
  ["negative units", "graph.layers.-1.options.units", -1],
  ["huge units", "graph.layers.-1.options.units", 2 ** 40],
  [
    "units that need more weights than there are bytes",
    "graph.layers.-1.options.units",
    100_000,
    /needs .* bytes of weights/,
  ],
  ["a huge embedding", "graph.layers.embedding.options.inputDim", 2 ** 31],
  ["an initialiser that is a string", "graph.layers.-1.options.kernelInitializer", "zeros"],
  ["an unknown initialiser", "graph.layers.-1.options.kernelInitializer", { type: "evil" }],
  ["an input shape with a fraction", "graph.layers.input.options.shape", [1.5]],
  ["an input without shape", "graph.layers.input.options.shape", []],
  ["a node of no layer", "graph.nodes.0.layer", 99, /graph\.nodes\[0\]\.layer must be an integer/],
  ["a node that reads itself", "graph.nodes.-1.inputs", [[6, 0]]],
  ["a negative output", "graph.outputs", [[0, -1]]],
  ["an output that is not there", "graph.outputs", [[0, 5]], /has no output 5/],
  ["no outputs", "graph.outputs", []],
  ["an input that is none", "graph.inputs", [[6, 0]]],
  ["a missing input", "graph.inputs.1", undefined, /not among the inputs/],
  ["singleOutput with text", "singleOutput", "true"],
  ["compile that is text", "compile", "rmsprop"],
  ["an unknown optimiser", "compile.optimizer.type", "toString"],
  ["a learning rate that is text", "compile.optimizer.learningRate", "1"],
  ["an unknown option of the optimiser", "compile.optimizer.momentums", 1],
  ["losses for too many outputs", "compile.outputs.1", null],
  ["an unknown loss", "compile.outputs.0.loss.type", "mse"],
  ["an unknown metric", "compile.outputs.0.metrics", [{ type: "bleu" }]],
  ["a fractional seed", "compile.seed", 0.1],
];

test("a config.json that was tampered with is refused, naming the file", async (t) => {
  const saved = await savedModel();
  t.teardown(saved.remove);
  for (const [name, place, value, message] of edits) {
    await saved.write(place, value);
    const error = await t.throwsAsync(loadModel(saved.place), { instanceOf: FormatError }, name);
    t.true(error?.message.includes(saved.path), `${name}: ${error?.message}`);
    if (message !== undefined) t.regex(error?.message ?? "", message, name);
  }
  await saved.restore();
  await t.notThrowsAsync(loadModel(saved.place));
});

test("files that are missing, cut short, no JSON or no UTF-8 are refused", async (t) => {
  const saved = await savedModel();
  t.teardown(saved.remove);
  await writeFile(saved.path, '{"format": "sconce-');
  await t.throwsAsync(loadModel(saved.place), { instanceOf: FormatError, message: /config\.json is no JSON/ });
  await writeFile(saved.path, Buffer.from([0x22, 0xff, 0x22]));
  await t.throwsAsync(loadModel(saved.place), { instanceOf: FormatError, message: /config\.json is not UTF-8/ });
  await writeFile(saved.path, "[".repeat(1_000_000));
  await t.throwsAsync(loadModel(saved.place), { instanceOf: FormatError });
  await saved.restore();

  for (const file of ["optimizer.safetensors", "model.safetensors"]) {
    const path = join(saved.place, file);
    const content = await readFile(path);
    for (const size of [0, 7, Math.floor(content.length / 2), content.length - 1]) {
      await truncate(path, size);
      await t.throwsAsync(loadModel(saved.place), { instanceOf: FormatError }, `${file} cut to ${size} bytes`);
      await writeFile(path, content);
    }
    await rm(path);
    await t.throwsAsync(loadModel(saved.place), { instanceOf: FileError, message: new RegExp(file) });
    await writeFile(path, content);
  }
  await t.notThrowsAsync(loadModel(saved.place));
  await t.throwsAsync(loadModel(join(saved.place, "nowhere")), { instanceOf: FileError });
  await t.throwsAsync(loadModel(undefined as never), { instanceOf: OptionError });
});
