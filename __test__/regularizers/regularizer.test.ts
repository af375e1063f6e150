import test from "ava";
import { input, layers, model, OptionError, regularizers } from "../../src/index.ts";
import { resolveRegularizer, restoreRegularizer } from "../../src/regularizers/resolve.ts";

const { l1, l1L2, l2, orthogonalRegularizer } = regularizers;

test("names and defaults are those of Keras", (t) => {
  const named = (name: string) => resolveRegularizer("dense", "kernelRegularizer", name as never)!.document;
  t.deepEqual(named("l1"), { type: "l1l2", l1: 0.01, l2: 0 });
  t.deepEqual(named("l2"), { type: "l1l2", l1: 0, l2: 0.01 });
  t.deepEqual(named("l1L2"), { type: "l1l2", l1: 0, l2: 0 });
  t.deepEqual(named("orthogonalRegularizer"), { type: "orthogonalRegularizer", factor: 0.01, mode: "rows" });
  t.throws(() => named("l3"), { instanceOf: OptionError, message: /dense: kernelRegularizer must be one of l1, l2/ });
  t.is(resolveRegularizer("dense", "kernelRegularizer", null), undefined);
  t.is(resolveRegularizer("dense", "kernelRegularizer", undefined), undefined);
});

test("a document gives the regulariser again", (t) => {
  for (const made of [
    l1({ l1: 0.5 }),
    l2({ l2: 0 }),
    l1L2({ l1: 1, l2: 2 }),
    orthogonalRegularizer({ mode: "columns" }),
  ]) {
    t.deepEqual(restoreRegularizer("layer a", "kernelRegularizer", made.document).document, made.document);
  }
  for (const wrong of [null, 1, {}, { type: "l1" }, { type: "l1l2", l1: -1, l2: 0 }, { type: "l1l2", x: 1 }]) {
    t.throws(() => restoreRegularizer("layer a", "kernelRegularizer", wrong as never), { instanceOf: OptionError });
  }
});

test("options that are unknown or out of range are refused", (t) => {
  for (const make of [
    () => l1({ l1: -1 }),
    () => l1({ l2: 1 } as never),
    () => l2({ l2: Number.NaN }),
    () => l1L2({ l3: 1 } as never),
    () => orthogonalRegularizer({ factor: -1 }),
    () => orthogonalRegularizer({ mode: "diagonal" as never }),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
});

test("layers hold the regularisers of their weights", (t) => {
  const rules = { kernelRegularizer: "l2", biasRegularizer: l1({ l1: 3 }) } as const;
  t.like(layers.dense({ units: 2, ...rules }).options, { biasRegularizer: { type: "l1l2", l1: 3, l2: 0 } });
  t.like(layers.lstm({ units: 2, recurrentRegularizer: "l1", ...rules }).options, {
    kernelRegularizer: { type: "l1l2", l1: 0, l2: 0.01 },
    recurrentRegularizer: { type: "l1l2", l1: 0.01, l2: 0 },
  });
  t.like(layers.embedding({ inputDim: 3, outputDim: 2, embeddingsRegularizer: "l2" }).options, {
    embeddingsRegularizer: { type: "l1l2", l1: 0, l2: 0.01 },
  });
  t.false("kernelRegularizer" in layers.dense({ units: 2, kernelRegularizer: null }).options);
  t.throws(() => layers.dense({ units: 2, recurrentRegularizer: "l2" } as never), {
    instanceOf: OptionError,
    message: /unknown option "recurrentRegularizer"/,
  });
  const inputs = input({ shape: [3] });
  const outputs = layers.dense({ units: 2, biasRegularizer: "orthogonalRegularizer" })(inputs);
  t.throws(() => model({ inputs, outputs }), {
    instanceOf: OptionError,
    message: /bias: regularizer: orthogonalRegularizer is for weights of 2 axes/,
  });
});
