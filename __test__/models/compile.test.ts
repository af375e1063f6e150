import test from "ava";
import {
  type CompileOptions,
  input,
  inverseSqrt,
  layers,
  losses,
  metrics,
  model,
  OptionError,
  StateError,
  sgd,
} from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";

function twoOutputs() {
  const x = input({ shape: [2] });
  const left = layers.dense({ units: 3, activation: "softmax", name: "left" })(x);
  const right = layers.dense({ units: 4, activation: "softmax", name: "right" })(x);
  return model({ inputs: x, outputs: [left, right] });
}

test("names and defaults are those of Keras", (t) => {
  const { translator } = textbook();
  t.throws(() => translator.optimizer, { instanceOf: StateError, message: /not compiled/ });
  translator.compile({ loss: "categoricalCrossentropy", metrics: ["accuracy"] });
  t.is(translator.optimizer.type, "rmsprop");
  t.is(translator.optimizer.learningRate, 0.001);
  const [output] = translator.trainedOutputs;
  t.is(output!.lossWeight, 1);
  t.deepEqual(
    output!.metrics.map(({ name }) => name),
    ["accuracy"],
  );
});

test("losses, weights and metrics are given by list or by name of the output", (t) => {
  const forms: CompileOptions[] = [
    {
      loss: ["categoricalCrossentropy", losses.sparseCategoricalCrossentropy({ ignoreClass: 0 })],
      lossWeights: [1, 0.5],
      metrics: [[], ["accuracy", metrics.perplexity()]],
    },
    {
      loss: { right: losses.sparseCategoricalCrossentropy({ ignoreClass: 0 }), left: "categoricalCrossentropy" },
      lossWeights: { right: 0.5 },
      metrics: { right: ["accuracy", "perplexity"] },
    },
  ];
  for (const options of forms) {
    const both = twoOutputs();
    both.compile(options);
    const [left, right] = both.compilation!.outputs;
    t.is(left!.loss!.type, "categoricalCrossentropy");
    t.is(right!.loss!.document.ignoreClass, 0);
    t.deepEqual(
      both.trainedOutputs.map(({ lossWeight }) => lossWeight),
      [1, 0.5],
    );
    t.deepEqual(
      right!.metrics.map(({ name }) => name),
      ["accuracy", "perplexity"],
    );
  }
  const both = twoOutputs();
  both.compile({ loss: { left: "categoricalCrossentropy" } });
  t.deepEqual(
    both.trainedOutputs.map(({ lossWeight }) => lossWeight),
    [1, null],
  );
});

test("wrong options of compile are refused and leave what was compiled", (t) => {
  const both = twoOutputs();
  both.compile({ loss: "categoricalCrossentropy", optimizer: "adam" });
  const wrong: object[] = [
    {},
    { loss: "crossentropy" },
    { loss: "categoricalCrossentropy", optimiser: "sgd" },
    { loss: "categoricalCrossentropy", optimizer: "nadamax" },
    { loss: ["categoricalCrossentropy"] },
    { loss: [null, null] },
    { loss: { middle: "categoricalCrossentropy" } },
    { loss: "categoricalCrossentropy", metrics: ["accuracy"] },
    { loss: "categoricalCrossentropy", metrics: [["accuracy"], ["exactness"]] },
    { loss: "categoricalCrossentropy", metrics: { left: "accuracy" } },
    { loss: "categoricalCrossentropy", lossWeights: [1, -1] },
    { loss: "categoricalCrossentropy", seed: 0.5 },
  ];
  for (const options of wrong) {
    t.throws(() => both.compile(options as CompileOptions), { instanceOf: OptionError }, JSON.stringify(options));
  }
  t.is(both.optimizer.type, "adam");
});

test("the learning rate can be set after compiling, to a schedule too", (t) => {
  const { translator } = textbook();
  translator.compile({ loss: "categoricalCrossentropy", optimizer: sgd({ learningRate: 0.5 }) });
  translator.optimizer.learningRate = 0.25;
  t.is(translator.optimizer.at(7), 0.25);
  translator.optimizer.learningRate = inverseSqrt({ peak: 1, warmup: 4 });
  t.is(translator.optimizer.at(0), 0.25);
  t.throws(() => translator.optimizer.learningRate, { instanceOf: StateError });
});
