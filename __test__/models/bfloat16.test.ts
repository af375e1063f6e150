import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import {
  adam,
  environment,
  input,
  layers,
  loadModel,
  type MixedPrecision,
  type Model,
  model,
  ndarray,
} from "../../src/index.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

const [rows, steps, vocabulary] = [16, 6, 90];

/** A Transformer that is wide enough for every product to be rounded, with dropout. */
function transformer(mixedPrecision?: MixedPrecision): Model {
  const ids = input({ shape: [null], dtype: "int32" });
  let x = layers.embedding({ inputDim: vocabulary, outputDim: 48 })(ids);
  x = layers.transformerEncoder({ intermediateDim: 96, numHeads: 4, dropout: 0.1 })(x);
  const made = model({ inputs: ids, outputs: layers.dense({ units: vocabulary, activation: "softmax" })(x) });
  made.compile({
    optimizer: adam({ learningRate: 3e-3 }),
    loss: "categoricalCrossentropy",
    ...(mixedPrecision === undefined ? {} : { mixedPrecision }),
  });
  return made;
}

const source = ndarray(Int32Array.from(formulaIntegers(1, rows * steps, 1, vocabulary)), [rows, steps]);
const target = ndarray(
  source.data.map((id) => (id * 7) % vocabulary),
  [rows, steps],
);

async function initialised(made: Model): Promise<Model> {
  await made.build();
  const weights = await made.getWeights();
  await made.setWeights(
    weights.map(({ shape, data }, index) => ({ shape, data: formulaValues(index + 1, data.length, 0.15) })),
  );
  return made;
}

/** Whether this machine lacks what is tested; told in the log. */
function skipped(log: (message: string) => void): boolean {
  if (environment().bfloat16) return false;
  log("not tested: bfloat16, for which this machine has no instructions");
  return true;
}

test("a model trained in bfloat16 follows the losses of float32", async (t) => {
  if (skipped(t.log)) return t.pass();
  const [exact, rounded] = await Promise.all([transformer(), transformer("bfloat16")].map(initialised));
  let largest = 0;
  for (let step = 0; step < 40; step++) {
    const { loss } = await exact!.trainOnBatch(source, target);
    const { loss: near } = await rounded!.trainOnBatch(source, target);
    if (step === 0) t.not(near, loss, "nothing was rounded");
    const distance = Math.abs(near - loss) / loss;
    t.true(distance < 0.01, `step ${step}: ${near}, in float32 ${loss}`);
    largest = Math.max(largest, distance);
  }
  t.log(`largest distance ${(100 * largest).toFixed(3)} %`);
});

test("tests are rounded as steps are; predictions and weights are not", async (t) => {
  if (skipped(t.log)) return t.pass();
  const [exact, rounded] = await Promise.all([transformer(), transformer("bfloat16")].map(initialised));
  const loss = (await exact!.testOnBatch(source, target)).loss;
  const near = (await rounded!.testOnBatch(source, target)).loss;
  t.not(near, loss);
  t.true(Math.abs(near - loss) < 0.01 * loss);
  t.deepEqual(await rounded!.predict(source), await exact!.predict(source));
  await rounded!.trainOnBatch(source, target);
  const bits = (await rounded!.getWeights()).flatMap(({ data }) => [
    ...new Uint32Array(Float32Array.from(data).buffer),
  ]);
  t.true(bits.filter((word) => (word & 0xffff) !== 0).length > 0.9 * bits.length, "weights have 24 bits");
});

test("fit sets the precision for itself and what follows, compile anew", async (t) => {
  if (skipped(t.log)) return t.pass();
  const [exact, rounded] = await Promise.all([transformer(), transformer("bfloat16")].map(initialised));
  const test = async (made: Model) => (await made.testOnBatch(source, target)).loss;
  const near = await test(rounded!);
  await exact!.fit(source, target, { mixedPrecision: "bfloat16", epochs: 0, verbose: "silent" });
  t.is(await test(exact!), near);
  await exact!.fit(source, target, { epochs: 0, verbose: "silent" });
  t.is(await test(exact!), near);
  exact!.compile({ loss: "categoricalCrossentropy" });
  t.not(await test(exact!), near);
});

test("a saved model does not remember it, so that any machine can load it", async (t) => {
  if (skipped(t.log)) return t.pass();
  const folder = await mkdtemp(join(tmpdir(), "sconce-"));
  try {
    const rounded = await initialised(transformer("bfloat16"));
    await rounded.save(join(folder, "model"));
    const loaded = (await loadModel(join(folder, "model"))) as Model;
    const exact = await initialised(transformer());
    t.is((await loaded.testOnBatch(source, target)).loss, (await exact.testOnBatch(source, target)).loss);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("where the instructions are left out, compile says what is missing", async (t) => {
  const program = `
    import { input, layers, model } from "./src/index.ts";
    const x = input({ shape: [3] });
    const made = model({ inputs: x, outputs: layers.dense({ units: 2 })(x) });
    try { made.compile({ loss: "meanSquaredError", mixedPrecision: "bfloat16" }); } catch (error) { console.log(error.code, error.message); }`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import=tsx", "--input-type=module", "--eval", program],
    { env: { ...process.env, SCONCE_SIMD: "scalar" } },
  );
  t.regex(
    stdout,
    /^OPTION .*compile: mixedPrecision "bfloat16" needs a CPU with avx512_bf16, which .*leave mixedPrecision out/,
  );
});
