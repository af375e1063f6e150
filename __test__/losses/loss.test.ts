import test from "ava";
import { losses, OptionError } from "../../src/index.ts";
import { resolveLoss, restoreLoss } from "../../src/losses/loss.ts";

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

test("wrong options are refused", (t) => {
  for (const make of [
    () => losses.categoricalCrossentropy({ labelSmoothing: 1.5 }),
    () => losses.categoricalCrossentropy({ ignoreClass: 0 } as never),
    () => losses.categoricalCrossentropy({ fromLogits: 1 as never }),
    () => losses.sparseCategoricalCrossentropy({ ignoreClass: 0.5 }),
    () => losses.sparseCategoricalCrossentropy({ labelSmoothing: 0.1 } as never),
    () => resolveLoss("test", "mse"),
    () => resolveLoss("test", undefined),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
});

test("documents give losses again", (t) => {
  for (const loss of [
    losses.categoricalCrossentropy({ fromLogits: true, labelSmoothing: 0.1 }),
    losses.sparseCategoricalCrossentropy({ ignoreClass: -1 }),
    losses.sparseCategoricalCrossentropy(),
  ]) {
    t.deepEqual(restoreLoss(JSON.parse(JSON.stringify(loss.document))).document, loss.document);
  }
  for (const wrong of [null, {}, { type: "toString" }, { type: "categoricalCrossentropy", labelSmoothing: "1" }]) {
    t.throws(() => restoreLoss(wrong), { instanceOf: OptionError });
  }
});
