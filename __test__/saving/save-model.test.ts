import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import {
  cosineDecayRestarts,
  FileError,
  FormatError,
  glove,
  input,
  inverseSqrt,
  layers,
  linearWarmup,
  loadModel,
  losses,
  type MultiOutputModel,
  metrics,
  model,
  ndarray,
  OptionError,
  rmsprop,
  StateError,
} from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";

async function folderFor(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sconce-save-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("a saved model is the same after loading", async (t) => {
  const place = join(await folderFor(t), "new", "model");
  const { translator, embedding } = textbook();
  embedding.trainable = false;
  translator.compile({
    optimizer: rmsprop({ learningRate: inverseSqrt({ peak: 0.01, warmup: 4 }), clipnorm: 1 }),
    loss: losses.categoricalCrossentropy({ labelSmoothing: 0.1 }),
    metrics: ["accuracy", metrics.perplexity()],
    seed: 9,
  });
  await translator.build({ seed: 1 });
  await translator.save(place);
  t.deepEqual((await readdir(place)).sort(), ["config.json", "model.safetensors", "optimizer.safetensors"]);

  const loaded = await loadModel(place);
  t.deepEqual(loaded.document, translator.document);
  t.deepEqual(await loaded.getWeights(), await translator.getWeights());
  t.false(loaded.getLayer("embedding").trainable);
  t.deepEqual(loaded.optimizer.document, translator.optimizer.document);
  t.is(loaded.optimizer.at(3), 0.01);
  t.deepEqual(loaded.compilation!.outputs, translator.compilation!.outputs);
  t.is(loaded.compilation!.seed, 9);
  t.is(loaded.summary({ print: () => undefined }), translator.summary({ print: () => undefined }));

  await loaded.save(place);
  const again = await loadModel(place);
  t.deepEqual(again.document, translator.document);
  t.deepEqual(await readdir(join(place, "..")), ["model"], "nothing is left beside");
});

test("a schedule within a schedule is saved with what it is compiled in", async (t) => {
  const place = join(await folderFor(t), "model");
  const { translator } = textbook();
  const after = cosineDecayRestarts({ initialLearningRate: 0.5, firstDecaySteps: 3, alpha: 0.1 });
  translator.compile({
    optimizer: rmsprop({ learningRate: linearWarmup({ peak: 0.5, warmup: 2, after }) }),
    loss: "categoricalCrossentropy",
  });
  await translator.build();
  await translator.save(place);
  const loaded = await loadModel(place);
  const rates = (of: typeof loaded) => [0, 1, 2, 3, 4, 5, 9].map((step) => of.optimizer.at(step));
  t.deepEqual(rates(loaded), rates(translator));
  t.deepEqual(rates(loaded).slice(0, 3), [0, 0.25, 0.5]);
});

test("layers and tensors of a loaded model can be used on", async (t) => {
  const place = join(await folderFor(t), "model");
  const { translator } = textbook();
  await translator.build();
  await translator.save(place);
  const loaded = await loadModel(place);
  t.throws(() => loaded.optimizer, { instanceOf: StateError }, "it was not compiled");
  const [, h, c] = loaded.getLayer("lstm").apply([loaded.getLayer("embedding").apply([loaded.inputs[0]!])[0]!]);
  const encoder = model({ inputs: loaded.inputs[0]!, outputs: [h!, c!] });
  t.deepEqual(await encoder.getWeights(), (await loaded.getWeights()).slice(0, 4));
});

test("a list of outputs stays one, and pre-trained tables need no files any more", async (t) => {
  const place = join(await folderFor(t), "model");
  const file = join(place, "..", "vectors.txt");
  await writeFile(file, "the 1 2\n");
  const ids = input({ shape: [null], dtype: "int32" });
  const vocabulary = { size: 2, tokens: ["<pad>", "the"] };
  const options = { inputDim: 2, outputDim: 2, maskZero: true, vocabulary };
  const table = layers.embedding({ ...options, embeddingsInitializer: glove({ path: file }) });
  const first = model({ inputs: ids, outputs: [table(ids)], name: "table" });
  await first.build();
  await first.save(place);
  await rm(file);
  const loaded = await loadModel<MultiOutputModel>(place);
  t.is(loaded.name, "table");
  t.true(Array.isArray(loaded(ids)));
  t.deepEqual((await loaded.getWeights())[0]!.data, Float32Array.of(0, 0, 1, 2));
});

test("a model of merges computes the same after loading", async (t) => {
  const place = join(await folderFor(t), "model");
  const [a, b] = [input({ shape: [3] }), input({ shape: [3] })];
  const merges = [layers.subtract(), layers.multiply(), layers.average(), layers.maximum(), layers.minimum()];
  const merged = model({ inputs: [a, b], outputs: merges.map((merge) => merge([a, b])) });
  await merged.build();
  await merged.save(place);
  const loaded = await loadModel<MultiOutputModel>(place);
  t.deepEqual(loaded.document, merged.document);
  const data = [ndarray(Float32Array.of(1, 5, -2), [1, 3]), ndarray(Float32Array.of(4, 5, 3), [1, 3])];
  const found = (await loaded.predict(data)).map((output) => [...output.data]);
  t.deepEqual(found, [
    [-3, 0, -5],
    [4, 25, -6],
    [2.5, 5, 0.5],
    [4, 5, 3],
    [1, 5, -2],
  ]);
});

test("weights alone are saved and loaded", async (t) => {
  const path = join(await folderFor(t), "weights.safetensors");
  const { translator } = textbook();
  await t.throwsAsync(translator.saveWeights(path), { instanceOf: StateError }, "not built");
  await translator.build({ seed: 3 });
  await translator.saveWeights(path);
  const { translator: other } = textbook();
  await other.loadWeights(path);
  t.deepEqual(await other.getWeights(), await translator.getWeights());
  const { translator: wide } = textbook({ units: 5 });
  await wide.build();
  const before = await wide.getWeights();
  await t.throwsAsync(wide.loadWeights(path), { instanceOf: FormatError });
  t.deepEqual(await wide.getWeights(), before, "nothing is changed by a file that does not fit");
  await writeFile(path, "no safetensors");
  await t.throwsAsync(other.loadWeights(path), { instanceOf: FormatError });
  await t.throwsAsync(other.loadWeights(join(path, "missing")), { instanceOf: FileError });
});

test("saving fails without harm to what is there", async (t) => {
  const folder = await folderFor(t);
  const { translator } = textbook();
  const place = join(folder, "model");
  await t.throwsAsync(translator.save(place), { instanceOf: StateError }, "not built");
  t.deepEqual(await readdir(folder), []);
  await translator.build();

  await mkdir(join(folder, "photos"));
  await writeFile(join(folder, "photos", "holiday.jpg"), "");
  await t.throwsAsync(translator.save(join(folder, "photos")), { instanceOf: FileError, message: /holds other files/ });
  t.deepEqual(await readdir(join(folder, "photos")), ["holiday.jpg"]);
  await writeFile(join(folder, "file"), "");
  await t.throwsAsync(translator.save(join(folder, "file")), { instanceOf: FileError });
  await t.throwsAsync(translator.save(join(folder, "file", "below")), { instanceOf: FileError });
  await t.throwsAsync(translator.save(""), { instanceOf: OptionError });
  await t.throwsAsync(translator.save(place, { extraFiles: { "../x": "" } }), { instanceOf: OptionError });
  await t.throwsAsync(translator.save(place, { extraFiles: { "config.json": "" } }), { instanceOf: OptionError });
  t.deepEqual((await readdir(folder)).sort(), ["file", "photos"]);

  await translator.save(place, { extraFiles: { "tokenizer.json": "{}" } });
  t.is(await readFile(join(place, "tokenizer.json"), "utf8"), "{}");
});

test("a model whose replacement was interrupted is found again", async (t) => {
  const folder = await folderFor(t);
  const { translator } = textbook();
  await translator.build();
  const place = join(folder, "model");
  await translator.save(place);
  // As after a kill between the two renames, with the remains of a process that is gone.
  await rename(place, join(folder, ".model.sconce-old"));
  await mkdir(join(folder, ".model.sconce-new-999999999-abc"));
  t.deepEqual(await (await loadModel(place)).getWeights(), await translator.getWeights());
  await translator.save(place);
  t.deepEqual(await readdir(folder), ["model"]);
});
