import test from "ava";
import { resolveConstraint, restoreConstraint } from "../../src/constraints/resolve.ts";
import { constraints, input, layers, model, OptionError } from "../../src/index.ts";

const { maxNorm, minMaxNorm, nonNeg, unitNorm } = constraints;

test("names and defaults are those of Keras", (t) => {
  const named = (name: string) => resolveConstraint("dense", "kernelConstraint", name as never)!.document;
  t.deepEqual(named("maxNorm"), { type: "maxNorm", maxValue: 2, axis: 0 });
  t.deepEqual(named("nonNeg"), { type: "nonNeg" });
  t.deepEqual(named("unitNorm"), { type: "unitNorm", axis: 0 });
  t.deepEqual(named("minMaxNorm"), { type: "minMaxNorm", minValue: 0, maxValue: 1, rate: 1, axis: 0 });
  t.throws(() => named("norm"), { instanceOf: OptionError, message: /dense: kernelConstraint must be one of maxNorm/ });
  t.is(resolveConstraint("dense", "kernelConstraint", null), undefined);
});

test("a document gives the constraint again", (t) => {
  const made = [maxNorm({ axis: [0, 1] }), nonNeg(), unitNorm({ axis: -1 }), minMaxNorm({ minValue: 0.5, rate: 0.1 })];
  for (const { document } of made) {
    t.deepEqual(restoreConstraint("layer a", "kernelConstraint", document).document, document);
  }
  for (const wrong of [null, {}, { type: "nonNeg", axis: 1 }, { type: "maxNorm", maxValue: -1 }, { type: "max" }]) {
    t.throws(() => restoreConstraint("layer a", "kernelConstraint", wrong as never), { instanceOf: OptionError });
  }
});

test("options that are unknown or out of range are refused", (t) => {
  for (const make of [
    () => maxNorm({ maxValue: -1 }),
    () => maxNorm({ axis: 0.5 }),
    () => maxNorm({ axis: [] }),
    () => unitNorm({ axis: "0" as never }),
    () => unitNorm({ maxValue: 1 } as never),
    () => minMaxNorm({ rate: 2 }),
    () => minMaxNorm({ minValue: -1 }),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
});

test("an axis that a weight lacks is refused by layer and weight", (t) => {
  const inputs = input({ shape: [3] });
  const outputs = layers.dense({ units: 2, name: "scores", kernelConstraint: unitNorm({ axis: 2 }) })(inputs);
  t.throws(() => model({ inputs, outputs }), {
    instanceOf: OptionError,
    message: /layer scores: kernel: constraint: axis 2 does not exist in a weight of shape \[3, 2\]/,
  });
});

test("weights obey their constraints after a step, and only then", async (t) => {
  const x = input({ shape: [2] });
  const y = layers.dense({ units: 2, activation: "softmax", kernelConstraint: "nonNeg", biasConstraint: "unitNorm" })(
    x,
  );
  await using trained = model({ inputs: x, outputs: y });
  const data = Float32Array.of(-1, 2, -3, 4);
  await trained.setWeights([
    { data, shape: [2, 2] },
    { data: Float32Array.of(3, 4), shape: [2] },
  ]);
  trained.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
  t.deepEqual([...(await trained.getWeights())[0]!.data], [...data]);
  await trained.trainOnBatch([[0, 0]], [1]);
  const [kernel, bias] = await trained.getWeights();
  t.deepEqual([...kernel!.data], [0, 2, 0, 4]);
  t.true(Math.abs(Math.hypot(...bias!.data) - 1) < 1e-6);
});
