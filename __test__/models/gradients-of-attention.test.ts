/** A model of everything that attends: each gradient of ours against automatic differentiation of plain operations. */
import test from "ava";
import * as addon from "../../index.js";
import { input, layers, type Model, model, ndarray, sgd } from "../../src/index.ts";
import { replaceAddon } from "../../src/native.ts";
import { formulaIntegers, formulaValues } from "../helpers/formula-weights.ts";

const vocabulary = 11;
const width = 8;
const [rows, steps, written] = [4, 5, 4];

/** The addon with all models on candle, which has a gradient of its own for each plain operation. */
class CandleModel extends addon.NativeModel {
  constructor(...[document, layers]: ConstructorParameters<typeof addon.NativeModel>) {
    super(document, layers, "candle");
  }
}

function everything(): Model {
  const [source, target] = [steps, written].map((length) => input({ shape: [length], dtype: "int32" })) as [
    ReturnType<typeof input>,
    ReturnType<typeof input>,
  ];
  const table = layers.embedding({ inputDim: vocabulary, outputDim: width, maskZero: true });
  const memory = layers.lstm({ units: width, returnSequences: true })(table(source));
  const y = layers.dropout({ rate: 0.2 })(layers.lstm({ units: width, returnSequences: true })(table(target)));
  const last = layers.lstm({ units: width })(memory);
  const sum = layers.add()([y, layers.repeatVector({ n: written })(last)]);
  return model({ inputs: [source, target], outputs: layers.dense({ units: vocabulary, activation: "softmax" })(sum) });
}

/** Ids of sequences that end in padding. */
function sequences(seed: number, lengths: number[], longest: number) {
  const ids = formulaIntegers(seed, rows * longest, 1, vocabulary);
  for (const [row, length] of lengths.entries()) ids.fill(0, row * longest + length, (row + 1) * longest);
  return ndarray(ids, [rows, longest]);
}

interface Step {
  loss: number;
  /** `layer/weight`, and the gradient. */
  gradients: Map<string, Float64Array>;
}

/** Plain descent by a large step: the differences of the weights are the gradients. */
async function step(backend: "cpu" | "candle"): Promise<Step> {
  replaceAddon(backend === "cpu" ? addon : { ...addon, NativeModel: CandleModel });
  const rate = 2 ** 12;
  const network = everything();
  try {
    network.compile({ optimizer: sgd({ learningRate: rate }), loss: "sparseCategoricalCrossentropy" });
    await network.build();
    const names = network.layers.flatMap((layer) => layer.weights.map(({ name }) => `${layer.name}/${name}`));
    const before = (await network.getWeights()).map(({ data, shape }, index) =>
      ndarray(formulaValues(7 + index, data.length, 0.5), [...shape]),
    );
    await network.setWeights(before);
    const inputs = [sequences(3, [5, 2, 4, 1], steps), sequences(4, [3, 4, 1, 2], written)];
    const { loss } = await network.trainOnBatch(inputs, sequences(5, [3, 4, 1, 2], written));
    const after = await network.getWeights();
    const gradients = before.map(({ data }, weight) => {
      const moved = after[weight]!.data;
      return [names[weight]!, Float64Array.from(data, (value, at) => (value - moved[at]!) / rate)] as const;
    });
    return { loss, gradients: new Map(gradients) };
  } finally {
    network.dispose();
    replaceAddon(addon);
  }
}

const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

test.serial("every gradient is finite, not zero, and that of automatic differentiation", async (t) => {
  const [ours, plain] = [await step("cpu"), await step("candle")];
  t.true(Math.abs(ours.loss - plain.loss) <= 1e-4 * plain.loss, `losses ${ours.loss}, ${plain.loss}`);
  t.deepEqual([...ours.gradients.keys()], [...plain.gradients.keys()]);
  // A gradient that is next to nothing beside the others has no digits of its own.
  const floor = 1e-3 * Math.max(...[...plain.gradients.values()].map(largest));
  for (const [name, gradient] of ours.gradients) {
    const expected = plain.gradients.get(name)!;
    const scale = Math.max(largest(expected), floor);
    const error = Math.max(...gradient.map((value, at) => Math.abs(value - expected[at]!))) / scale;
    t.true(error <= 1e-4, `${name}: error ${error}`);
    t.log(`${name}: largest ${largest(gradient).toExponential(2)}, error ${error.toExponential(1)}`);
    // A softmax does not see what all keys have in common.
    if (name.endsWith("key/bias")) t.true(largest(gradient) < 1e-3 * floor, `${name}: ${largest(gradient)}`);
    else t.true(largest(gradient) > 1e-2 * floor, `${name}: ${largest(gradient)}`);
  }
});
