import test from "ava";
import { losses, OptionError } from "../../src/index.ts";
import { resolveLoss, restoreLoss } from "../../src/losses/resolve.ts";
import { resolveMetric } from "../../src/metrics/resolve.ts";

test("names mean the default options", (t) => {
  const standard = { fromLogits: false, labelSmoothing: 0, ignoreClass: null };
  t.deepEqual(resolveLoss("test", "categoricalCrossentropy").document, {
    type: "categoricalCrossentropy",
    ...standard,
  });
  t.deepEqual(resolveLoss("test", "sparseCategoricalCrossentropy").document, {
    type: "sparseCategoricalCrossentropy",
    ...standard,
  });
});

test("short names are those of Keras", (t) => {
  for (const [name, type] of [
    ["mse", "meanSquaredError"],
    ["mae", "meanAbsoluteError"],
    ["mape", "meanAbsolutePercentageError"],
    ["msle", "meanSquaredLogarithmicError"],
    ["bce", "binaryCrossentropy"],
    ["kld", "klDivergence"],
  ] as const) {
    t.is(resolveLoss("test", name).type, type);
    t.deepEqual(resolveMetric("test", name).document, { ...resolveLoss("test", type).document, name });
  }
});

test("wrong options are refused", (t) => {
  for (const make of [
    () => losses.categoricalCrossentropy({ labelSmoothing: 1.5 }),
    () => losses.categoricalCrossentropy({ labelSmoothing: { value: 1.5 } }),
    () => losses.categoricalCrossentropy({ labelSmoothing: { value: 0.1, definition: "other" as "keras" } }),
    () => losses.categoricalCrossentropy({ labelSmoothing: { value: 0.1, padding: -1, definition: "joeynmt" } }),
    () => losses.categoricalCrossentropy({ labelSmoothing: { e: 0.1 } as never }),
    () => losses.categoricalCrossentropy({ ignoreClass: 0 } as never),
    () => losses.categoricalCrossentropy({ fromLogits: 1 as never }),
    () => losses.sparseCategoricalCrossentropy({ ignoreClass: 0.5 }),
    () => losses.sparseCategoricalCrossentropy({ labelSmoothing: 0.1 } as never),
    () => losses.binaryCrossentropy({ labelSmoothing: -0.1 }),
    () => losses.binaryCrossentropy({ ignoreClass: 1 } as never),
    () => losses.huber({ delta: 0 }),
    () => losses.huber({ delta: Number.POSITIVE_INFINITY }),
    () => resolveLoss("test", "mean_squared_error"),
    () => resolveLoss("test", "toString"),
    () => resolveLoss("test", undefined),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
});

test("documents give losses again", (t) => {
  for (const loss of [
    losses.categoricalCrossentropy({ fromLogits: true, labelSmoothing: 0.1 }),
    losses.categoricalCrossentropy({ labelSmoothing: { value: 0.1, definition: "fairseq" } }),
    losses.categoricalCrossentropy({ labelSmoothing: { value: 0.2, definition: "joeynmt", padding: 3 } }),
    losses.sparseCategoricalCrossentropy({ ignoreClass: -1 }),
    losses.sparseCategoricalCrossentropy(),
    losses.binaryCrossentropy({ fromLogits: true, labelSmoothing: 0.1 }),
    losses.huber({ delta: 0.5 }),
    losses.meanSquaredError(),
    losses.cosineSimilarity(),
  ]) {
    t.deepEqual(restoreLoss(JSON.parse(JSON.stringify(loss.document))).document, loss.document);
  }
  for (const wrong of [
    null,
    {},
    { type: "toString" },
    { type: "categoricalCrossentropy", labelSmoothing: "1" },
    { type: "categoricalCrossentropy", labelSmoothing: 0.1, smoothingDefinition: "marian" },
    { type: "sparseCategoricalCrossentropy", labelSmoothing: 0, smoothingDefinition: "fairseq" },
    { type: "poisson", delta: 1 },
  ]) {
    t.throws(() => restoreLoss(wrong), { instanceOf: OptionError });
  }
});
