import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  defineLayer,
  input,
  layers,
  loadModel,
  model,
  ndarray,
  OptionError,
  ops,
  ShapeError,
  type SymbolicTensor,
  weight,
} from "../../src/index.ts";

/** A linear layer by hand. */
const project = defineLayer({
  name: "project",
  options: { units: 4, shift: true },
  build: ([shape], { units, shift }) => ({
    w: weight([shape!.at(-1)!, units]),
    ...(shift && { b: weight([units], { initializer: "zeros", trainable: false }) }),
  }),
  call(x: SymbolicTensor, { w, b }) {
    const y = ops.matmul(x, w);
    return b === undefined ? y : ops.add(y, b);
  },
});

const data = ndarray(
  Float32Array.from({ length: 24 }, (_, at) => Math.cos(at)),
  [2, 4, 3],
);

test("a layer by hand computes what its weights say, shares them between calls, and is shown as one", async (t) => {
  const x = input({ shape: [null, 3] });
  const layer = project({ units: 3 });
  await using made = model({ inputs: x, outputs: layer(layer(x)) });
  await made.build();
  t.is(layer.countParams(), 12);
  t.is(made.countParams(), 12);
  t.deepEqual(layer.weights, [
    { name: "w", shape: [3, 3] },
    { name: "b", shape: [3] },
  ]);
  await layer.setWeights([
    { data: Float32Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2), shape: [3, 3] },
    { data: Float32Array.of(1, 1, 1), shape: [3] },
  ]);
  t.deepEqual([...(await layer.getWeights())[1]!.data], [1, 1, 1]);
  const predicted = await made.predict(data);
  for (const [at, value] of predicted.data.entries()) t.true(Math.abs(value - (4 * data.data[at]! + 3)) < 1e-5);
  const summary = made.summary({ print: () => {} });
  t.regex(summary, /project \(project\) +\[batch, \?, 3\] +12 .*\n.*project \(project\) +\[batch, \?, 3\] +shared/);
  t.notRegex(summary, /ops\./);
  t.is(made.getLayer("project"), layer as never);
  await t.throwsAsync(layer.setWeights([]), { instanceOf: ShapeError });
});

test("names are numbered within a model, and weights are trained or not", async (t) => {
  const build = (units: number) => {
    const x = input({ shape: [3] });
    const y = project({ units: 5, shift: false })(project({ units })(x));
    const frozen = project({ units: 2, name: "last", trainable: false });
    return { made: model({ inputs: x, outputs: layers.activation({ activation: "softmax" })(frozen(y)) }), frozen };
  };
  for (const round of [1, 2]) {
    const { made, frozen } = build(4);
    await made.build();
    const names = made.layers
      .map(({ name }) => name)
      .filter((name) => name.includes("project") || name.includes("last"));
    t.deepEqual(names.sort(), ["last.b", "last.w", "project.b", "project.w", "project1.w"], `round ${round}`);
    made.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
    const before = await made.getWeights();
    await made.trainOnBatch(
      ndarray(
        Float32Array.from({ length: 12 }, (_, at) => Math.sin(at)),
        [4, 3],
      ),
      [[0], [1], [1], [0]],
    );
    const after = await made.getWeights();
    const changed = before.map(({ data: old }, at) => old.some((value, index) => value !== after[at]!.data[index]));
    // The first kernel, the first bias (not trained), the second kernel, and two of the frozen layer.
    t.is(changed.filter(Boolean).length, 2);
    frozen.trainable = true;
    made.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
    await made.trainOnBatch(
      ndarray(
        Float32Array.from({ length: 12 }, (_, at) => Math.sin(at)),
        [4, 3],
      ),
      [[0], [1], [1], [0]],
    );
    t.notDeepEqual((await frozen.getWeights())[0], after.at(-2));
    made.dispose();
  }
});

test("a saved model is loaded without the definition", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sconce-custom-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const gate = defineLayer({
    name: "gate",
    build: () => ({ inner: layers.dense({ units: 3, activation: "sigmoid" }) }),
    call: ([x, y]: readonly SymbolicTensor[], { inner }) => ops.multiply(inner(x!), y!),
  });
  const x = input({ shape: [null, 3] });
  const y = gate()([x, project({ units: 3 })(x)]);
  const z = layers.lambda((a: SymbolicTensor, b: SymbolicTensor) =>
    ops.subtract(a, ops.mean(b, { axis: 1, keepdims: true })),
  );
  await using made = model({ inputs: x, outputs: z(y, x) });
  await made.build();
  await made.save(join(folder, "model"));
  await using loaded = await loadModel(join(folder, "model"));
  t.deepEqual((await loaded.predict(data)).data, (await made.predict(data)).data);
  t.is(loaded.countParams(), made.countParams());
});

test("masks come in as floats and go out by computeMask", async (t) => {
  const seen: boolean[] = [];
  const pool = defineLayer({
    name: "pool",
    call(x: SymbolicTensor, _, { mask }) {
      seen.push(mask !== undefined);
      if (mask === undefined) return x;
      return ops.multiply(x, ops.expandDims(mask, -1));
    },
    computeMask: (_, mask) => mask,
  });
  const ids = input({ shape: [null], dtype: "int32" });
  const embedded = layers.embedding({ inputDim: 5, outputDim: 2, maskZero: true, embeddingsInitializer: "ones" })(ids);
  const pooled = pool()(embedded);
  t.true(pooled.masked);
  t.false(pool()(input({ shape: [null, 2] })).masked);
  t.deepEqual(seen, [true, false]);
  const marked = layers.lambda((x: SymbolicTensor) => ops.add(x, 0), { mask: (x) => ops.mask(x) });
  t.true(marked(pooled).masked);
  await using made = model({ inputs: ids, outputs: [pooled, ops.mask(marked(pooled))] });
  const [values, kept] = await made.predict(ndarray(Int32Array.of(1, 0, 3, 0), [2, 2]));
  t.deepEqual([...values!.data], [1, 1, 0, 0, 1, 1, 0, 0]);
  t.deepEqual([...kept!.data], [1, 0, 1, 0]);
});

test("what training says is 1 in training alone", async (t) => {
  const noisy = defineLayer({
    name: "noisy",
    call: (x: SymbolicTensor, _, { training }) => ops.where(training, ops.add(x, 3), x),
  });
  const x = input({ shape: [2] });
  await using made = model({
    inputs: x,
    outputs: layers.activation({ activation: "softmax" })(
      layers.dense({ units: 2, kernelInitializer: "identity" })(noisy()(x)),
    ),
  });
  const values = ndarray(Float32Array.of(1, 2), [1, 2]);
  const [first, second] = (await made.predict(values)).data as Float32Array as unknown as [number, number];
  t.true(Math.abs(second / first - Math.E) < 1e-4);
  made.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
  const tested = await made.testOnBatch(values, [[0]]);
  const bias = defineLayer({
    name: "shifted",
    call: (y: SymbolicTensor, _, { training }) => ops.multiply(y, ops.add(training, 1)),
  });
  const z = input({ shape: [2] });
  await using doubled = model({
    inputs: z,
    outputs: layers.activation({ activation: "softmax" })(
      layers.dense({ units: 2, kernelInitializer: "identity" })(bias()(z)),
    ),
  });
  doubled.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
  const trained = await doubled.trainOnBatch(values, [[0]]);
  t.true(Math.abs(tested.loss - Math.log(1 + Math.E)) < 1e-5);
  t.true(Math.abs(trained.loss - Math.log(1 + Math.E ** 2)) < 1e-5);
});

test("wrong definitions and calls are refused by name", (t) => {
  const x = input({ shape: [3] });
  const same = (y: SymbolicTensor) => y;
  const wrong: [() => unknown, RegExp][] = [
    [() => defineLayer({ name: "a/b", call: same }), /name/],
    [() => defineLayer({ name: "a" } as never), /call of a must be a function/],
    [() => defineLayer({ name: "a", call: same, compute: same } as never), /compute/],
    [() => project({ unit: 3 } as never), /project: unknown option "unit"/],
    [() => project()(3 as never), /layer project\d*: expected tensors/],
    [() => (project() as unknown as (...xs: unknown[]) => unknown)(x, x), /expected a tensor or a list of tensors/],
    [() => defineLayer({ name: "bad", call: () => 3 as never })()(x), /layer bad: call must return tensors/],
    [() => defineLayer({ name: "bad", build: () => 3 as never, call: same })()(x), /build must return an object/],
    [() => defineLayer({ name: "bad", build: () => ({ w: 3 as never }), call: same })()(x), /w must be a weight/],
    [() => weight([0]), /shape must be a list of integers/],
    [() => weight([2], { initialiser: "zeros" } as never), /initialiser/],
    [() => layers.lambda(3 as never), /expected a function/],
    [() => layers.lambda(same, { mask: 3 as never }), /mask must be a function/],
  ];
  for (const [make, message] of wrong) t.throws(make, { instanceOf: OptionError, message }, String(make));
});
