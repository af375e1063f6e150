import { readFileSync } from "node:fs";
import test from "ava";
import {
  input,
  type LabelSmoothingDefinition,
  layers,
  losses,
  metrics,
  model,
  ndarray,
  OptionError,
  optimizers,
} from "../../src/index.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

interface Case {
  definition: LabelSmoothingDefinition;
  seed: number;
  rows: number;
  classes: number;
  value: number;
  padding: number;
  loss: number;
  gradients: [kernel: number[], bias: number[]];
}

const { cases } = JSON.parse(
  readFileSync(new URL("../golden/torch/label-smoothing.json", import.meta.url), "utf8"),
) as { cases: Case[] };
const features = 5;

function classifier(classes: number, activation: "softmax" | "linear" = "softmax") {
  const x = input({ shape: [features] });
  return model({ inputs: x, outputs: layers.dense({ units: classes, activation })(x) });
}

function near(found: ArrayLike<number>, expected: readonly number[]): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(found[index]! - value))) / largest;
}

test("every definition has PyTorch's loss and gradients, fused and not", async (t) => {
  for (const { definition, seed, rows, classes, value, padding, loss, gradients } of cases) {
    const ids = formulaIntegers(seed + 3, rows, 0, classes - 1).map((id) => (id >= padding ? id + 1 : id));
    const x = ndarray(formulaValues(seed + 2, rows * features, 1.5), [rows, features]);
    const oneHot = Float32Array.from({ length: rows * classes }, (_, at) =>
      ids[Math.floor(at / classes)] === at % classes ? 1 : 0,
    );
    const option = { value, definition, ...(definition === "joeynmt" ? { padding } : {}) };
    const forms = [
      { name: "fused", activation: "softmax", metrics: [], y: ids },
      { name: "fused, one-hot", activation: "softmax", metrics: [], y: ndarray(oneHot, [rows, classes]) },
      { name: "unfused", activation: "softmax", metrics: [metrics.topKCategoricalAccuracy({ k: 2 })], y: ids },
      { name: "logits", activation: "linear", metrics: [], y: ids },
    ] as const;
    for (const form of forms) {
      await using own = classifier(classes, form.activation);
      own.compile({
        optimizer: optimizers.sgd({ learningRate: 1 }),
        loss: losses.categoricalCrossentropy({
          labelSmoothing: option,
          ...(form.activation === "linear" ? { fromLogits: true } : {}),
        }),
        metrics: [...form.metrics],
      });
      await own.build();
      const kernel = formulaValues(seed, features * classes, 0.8);
      const bias = formulaValues(seed + 1, classes, 0.8);
      await own.setWeights([
        { data: kernel, shape: [features, classes] },
        { data: bias, shape: [classes] },
      ]);
      const where = `${form.name}: ${JSON.stringify({ ...option, rows, classes })}`;
      const result = await own.trainOnBatch(x, form.y);
      t.true(Math.abs(result.loss - loss) < 1e-5 * loss, `${where}: ${result.loss} ${loss}`);
      const after = await own.getWeights();
      for (const [index, before] of [kernel, bias].entries()) {
        const step = before.map((weight, at) => weight - after[index]!.data[at]!);
        t.true(near(step, gradients[index]!) < 1e-5, where);
      }
    }
  }
});

test("metrics without smoothing are those of a model that has none, with padding and sample weights", async (t) => {
  const [batch, steps, words, classes] = [9, 7, 30, 50];
  const ids = formulaIntegers(1, batch * steps, 1, words - 1);
  const isPadding = (at: number) => at % steps >= 3 + (Math.floor(at / steps) % 5);
  const x = ndarray(
    Int32Array.from(ids, (id, at) => (isPadding(at) ? 0 : id)),
    [batch, steps],
  );
  const y = ndarray(Int32Array.from(formulaIntegers(2, batch * steps, 0, classes - 1)), [batch, steps]);
  const sampleWeight = Float32Array.from({ length: batch }, (_, at) => at / 4);
  const run = async (labelSmoothing: number) => {
    const tokens = input({ shape: [null], dtype: "int32" });
    const embedded = layers.embedding({ inputDim: words, outputDim: 33, maskZero: true })(tokens);
    await using own = model({
      inputs: tokens,
      outputs: layers.dense({ units: classes, activation: "softmax" })(embedded),
    });
    own.compile({
      loss: losses.categoricalCrossentropy({ labelSmoothing }),
      metrics: [metrics.sparseCategoricalCrossentropy({ name: "nll" }), metrics.perplexity({ name: "perplexity" })],
      weightedMetrics: [metrics.sparseCategoricalCrossentropy({ name: "weighted" })],
    });
    await own.build();
    await own.setWeights([
      { data: formulaValues(3, words * 33, 1), shape: [words, 33] },
      { data: formulaValues(4, 33 * classes, 1), shape: [33, classes] },
      { data: formulaValues(5, classes, 1), shape: [classes] },
    ]);
    return await own.trainOnBatch(x, y, { sampleWeight });
  };
  const [plain, smoothed] = [await run(0), await run(0.2)];
  t.true(Math.abs(smoothed.loss - plain.loss) > 0.01);
  for (const name of ["nll", "perplexity", "weighted"]) {
    t.true(plain[name]! > 1, name);
    t.true(
      Math.abs(smoothed[name]! - plain[name]!) <= 1e-6 * plain[name]!,
      `${name}: ${smoothed[name]} ${plain[name]}`,
    );
  }
});

test("too few classes are refused with the output's name", (t) => {
  const compile = (classes: number, definition: LabelSmoothingDefinition, padding: number) => () => {
    const labelSmoothing = { value: 0.1, definition, padding };
    classifier(classes).compile({ loss: losses.categoricalCrossentropy({ labelSmoothing }) });
  };
  t.throws(compile(2, "joeynmt", 0), { instanceOf: OptionError, message: /output dense.*"joeynmt".*3 classes.*got 2/ });
  t.throws(compile(4, "joeynmt", 5), { instanceOf: OptionError, message: /at least 6 classes.*got 4/ });
  t.throws(compile(1, "fairseq", 0), { instanceOf: OptionError, message: /"fairseq" needs at least 2 classes/ });
  t.notThrows(compile(3, "joeynmt", 2));
});
