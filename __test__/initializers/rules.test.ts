import test from "ava";
import { initializers, layers, ndarray, OptionError } from "../../src/index.ts";
import { resolveInitializer, restoreInitializer } from "../../src/initializers/resolve.ts";

test("parameters default to those of Keras", (t) => {
  t.deepEqual(initializers.randomNormal().document, { type: "randomNormal", mean: 0, stddev: 0.05 });
  t.deepEqual(initializers.truncatedNormal({ seed: 3 }).document, {
    type: "truncatedNormal",
    mean: 0,
    stddev: 0.05,
    seed: 3,
  });
  t.deepEqual(initializers.constant().document, { type: "constant", value: 0 });
  t.deepEqual(initializers.orthogonal().document, { type: "orthogonal", gain: 1 });
  t.deepEqual(initializers.varianceScaling().document, {
    type: "varianceScaling",
    scale: 1,
    mode: "fanIn",
    distribution: "truncatedNormal",
  });
});

test("the engine takes all of them", (t) => {
  const all = [
    initializers.zeros(),
    initializers.ones(),
    initializers.constant({ value: 2 }),
    initializers.randomUniform({ minval: -1, maxval: 1, seed: 2 ** 53 - 1 }),
    initializers.randomNormal(),
    initializers.truncatedNormal(),
    initializers.glorotUniform(),
    initializers.glorotNormal(),
    initializers.heUniform(),
    initializers.heNormal(),
    initializers.lecunUniform(),
    initializers.lecunNormal(),
    initializers.varianceScaling({ scale: 2, mode: "fanAvg", distribution: "uniform" }),
    initializers.orthogonal({ gain: 0.5 }),
    initializers.identity(),
  ];
  for (const initializer of all) {
    const layer = layers.dense({ units: 2, kernelInitializer: initializer });
    t.deepEqual(layer.options.kernelInitializer, initializer.document);
    t.deepEqual(restoreInitializer("test", "kernelInitializer", initializer.document).document, initializer.document);
  }
});

test("wrong options and documents are refused", (t) => {
  for (const make of [
    () => initializers.randomUniform({ seed: -1 }),
    () => initializers.randomUniform({ min: 0 } as never),
    () => initializers.glorotUniform({ gain: 1 } as never),
    () => initializers.orthogonal({ gain: Number.POSITIVE_INFINITY }),
    () => initializers.varianceScaling({ mode: "fan_in" as never }),
    () => initializers.constant({ value: ndarray(Int32Array.of(1)) as never }),
    () => resolveInitializer("test", "kernelInitializer", "he" as never),
    () => restoreInitializer("test", "kernelInitializer", null),
    () => restoreInitializer("test", "kernelInitializer", { type: "zeros", value: 1 }),
    () => restoreInitializer("test", "kernelInitializer", { type: "hasOwnProperty" }),
    () => restoreInitializer("test", "kernelInitializer", { type: "constant", value: "1" }),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
});
