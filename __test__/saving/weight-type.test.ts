import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { input, layers, loadModel, model, OptionError, Seq2Seq, StateError, Tokenizer } from "../../src/index.ts";
import { sconce } from "../helpers/run-command.ts";

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const texts = ["hello", "a", "", "the quick fox", "ZZZ", "mnopqrs"].map((text) => text.replaceAll(" ", "x"));

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sconce-weight-type-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A Transformer with random weights, large enough for matrices of fewer bits. */
async function saved(t: ExecutionContext): Promise<string> {
  const folder = join(scratch(t), "model");
  const tokenizer = await Tokenizer.train([letters], { type: "character" });
  const sizes = { dModel: 64, heads: 4, ffn: 128, encoderLayers: 2, decoderLayers: 2 };
  const translator = Seq2Seq.transformer({ source: tokenizer, target: tokenizer, ...sizes });
  await translator.model.build({ seed: 3 });
  await translator.save(folder);
  translator.dispose();
  return folder;
}

test("a model whose matrices have fewer bits gives nearly the same probabilities", async (t) => {
  const folder = await saved(t);
  const whole = await Seq2Seq.load(folder, { dtype: "float32" });
  const source = await whole.model.predict([
    { data: Int32Array.from([5, 9, 3, 7, 20, 31]), shape: [1, 6] },
    { data: Int32Array.from([2, 4, 5, 6]), shape: [1, 4] },
  ]);
  for (const [dtype, near] of [
    ["bfloat16", 0.02],
    ["int8", 0.1],
  ] as const) {
    const small = await Seq2Seq.load(folder, { dtype });
    const found = await small.model.predict([
      { data: Int32Array.from([5, 9, 3, 7, 20, 31]), shape: [1, 6] },
      { data: Int32Array.from([2, 4, 5, 6]), shape: [1, 4] },
    ]);
    const [before, after] = [source, found].map((one) => (Array.isArray(one) ? one[0]!.data : one.data));
    const differences = Array.from(before!, (value, index) => Math.abs(value - after![index]!) / value);
    const largest = Math.max(...differences);
    t.true(largest > 0 && largest < near, `${dtype}: ${largest}`);
    small.dispose();
  }
  whole.dispose();
});

test("what a text gives does not depend on its batch, whatever its matrices are", async (t) => {
  const folder = await saved(t);
  for (const dtype of ["bfloat16", "int8"] as const) {
    const translator = await Seq2Seq.load(folder, { dtype });
    for (const options of [{}, { numBeams: 3, numReturnSequences: 2 }]) {
      const all = { maxNewTokens: 7, returnLogProbabilities: true, ...options };
      const together = await translator.generate(texts, all);
      for (const [place, text] of texts.entries()) {
        t.deepEqual((await translator.generate([text], { ...all, batchSize: 1 }))[0], together[place]);
      }
    }
    translator.dispose();
  }
});

test("matrices of fewer bits are only multiplied: all else is refused", async (t) => {
  const folder = await saved(t);
  const translator = await Seq2Seq.load(folder, { dtype: "int8" });
  const refused = async (work: () => unknown) => {
    const error = await t.throwsAsync(async () => work(), { instanceOf: StateError });
    t.regex(error!.message, /kept as int8 or bfloat16.*load it without dtype/);
  };
  await refused(() => translator.fit([{ source: "ab", target: "ba" }]));
  await refused(() => translator.model.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" }));
  await refused(() => translator.model.getWeights());
  await refused(() => translator.save(join(scratch(t), "copy")));
  // Another load of the folder is not concerned.
  const whole = await Seq2Seq.load(folder);
  await whole.fit([{ source: "ab", target: "ba" }]);
  // Floats that are loaded into the model take the place of the numbers of 8 bits.
  await translator.model.loadWeights(join(folder, "model.safetensors"));
  t.is((await translator.model.getWeights()).length, (await whole.model.getWeights()).length);
  for (const one of [translator, whole]) one.dispose();
});

test("wrong types are OptionErrors", async (t) => {
  const folder = await saved(t);
  const wrong = { dtype: "int4" } as unknown as { dtype: "int8" };
  await t.throwsAsync(Seq2Seq.load(folder, wrong), { instanceOf: OptionError, message: /dtype must be/ });
  await t.throwsAsync(loadModel(folder, { type: "int8" } as object), {
    instanceOf: OptionError,
    message: /unknown option/,
  });
});

test("recurrent layers keep their kernels, and their model runs", async (t) => {
  const folder = join(scratch(t), "model");
  const ids = input({ shape: [null], dtype: "int32" });
  const embedded = layers.embedding({ inputDim: 50, outputDim: 40 })(ids);
  const outputs = layers.dense({ units: 33, activation: "softmax" })(layers.lstm({ units: 48 })(embedded));
  const network = model({ inputs: ids, outputs });
  await network.build({ seed: 1 });
  await network.save(folder);
  const x = { data: Int32Array.from([1, 2, 3, 40, 5, 6]), shape: [2, 3] };
  const before = await network.predict(x);
  const small = await loadModel(folder, { dtype: "int8" });
  const after = await small.predict(x);
  const largest = Math.max(...Array.from(before.data, (value, index) => Math.abs(value - after.data[index]!)));
  t.true(largest > 0 && largest < 1e-3, String(largest));
  for (const one of [network, small]) one.dispose();
});

test("translate --dtype keeps weights in fewer bits", async (t) => {
  const folder = await saved(t);
  const lines = "abc\nxyz\n";
  const run = async (...flags: string[]) => {
    const { status, output, error } = await sconce(["translate", folder, "--max-new-tokens", "5", ...flags], lines);
    return { status, output, error };
  };
  const translator = await Seq2Seq.load(folder, { dtype: "int8" });
  const wanted = await translator.generate(["abc", "xyz"], { maxNewTokens: 5 });
  translator.dispose();
  t.is((await run("--dtype", "int8")).output, wanted.map(({ text }) => `${text}\n`).join(""));
  const { status, error } = await run("--dtype", "int4");
  t.is(status, 2);
  t.regex(error, /--dtype must be one of float32, bfloat16, int8, got int4/);
});
