import test from "ava";
import { Dataset } from "../../src/data/dataset.ts";
import { stack } from "../../src/data/example.ts";
import { NdArray } from "../../src/data/ndarray.ts";
import { DataError, NaNLossError, OptionError, ShapeError, StateError } from "../../src/errors.ts";
import {
  evaluate,
  fit,
  predict,
  steps,
  type TrainingStep,
  testOnBatch,
  trainOnBatch,
} from "../../src/training/index.ts";
import { FakeModel, output, pairs } from "./fake-model.ts";

const { x, y } = pairs(5);
const batches = Dataset.fromArrays([x], [y]).batch(2, stack);

test("evaluation weighs losses by rows and trains nothing", async (t) => {
  const loss = { testLoss: (step: number) => [1, 2, 6][step % 3]! };
  const expected = { loss: (1 * 2 + 2 * 2 + 6 * 1) / 5, accuracy: 1 };
  const model = new FakeModel(loss);
  t.deepEqual(await evaluate(model, x, y, { batchSize: 2 }), expected);
  t.deepEqual(await evaluate(model, batches), expected);
  t.deepEqual(await evaluate(model, batches, { verbose: "silent" }), expected);
  t.deepEqual(await evaluate(model, Dataset.fromArrays([x], [y]), { batchSize: 2 }), expected);
  t.is(model.updates, 0);
  t.is(model.trained.length, 0);
  t.deepEqual(await evaluate(new FakeModel(loss), x, y, { batchSize: 2, steps: 2 }), { loss: 1.5, accuracy: 1 });
});

test("evaluation refuses wrong data and options", async (t) => {
  const model = new FakeModel();
  await t.throwsAsync(evaluate(model, x), { instanceOf: DataError, message: /targets are missing/ });
  await t.throwsAsync(evaluate(model, x, y, { epochs: 1 } as never), { instanceOf: OptionError });
  await t.throwsAsync(evaluate(model, batches, y, {}), { instanceOf: OptionError });
  await t.throwsAsync(evaluate(model, batches, { sampleWeight: [1] }), { instanceOf: OptionError });
  await t.throwsAsync(evaluate(model, [[1]], [[1, 2]]), { instanceOf: ShapeError });
  const controller = new AbortController();
  const reason = new Error("enough");
  controller.abort(reason);
  await t.throwsAsync(evaluate(model, x, y, { signal: controller.signal }), { is: reason });
});

test("predictions of all rows come in one array, those of batches one by one", async (t) => {
  const model = new FakeModel();
  const all = await predict(model, x, { batchSize: 2 });
  t.true(all instanceof NdArray);
  t.deepEqual([(all as NdArray).shape, [...(all as NdArray).data]], [[5, 3], [...x.data]]);
  const some = (await predict(model, x, { batchSize: 2, steps: 2 })) as NdArray;
  t.deepEqual(some.shape, [4, 3]);
  const lengths = Dataset.from([2, 4]).map((time) => ({ inputs: [pairs(3, time).x], targets: [] }));
  const parts = (await predict(model, lengths)) as NdArray[];
  t.deepEqual(
    parts.map(({ shape }) => shape),
    [
      [3, 2],
      [3, 4],
    ],
  );
  const two = new FakeModel({ outputs: [output("a", ["batch", 3]), output("b", ["batch", 3])] });
  const several = (await predict(two, x)) as NdArray[];
  t.deepEqual(
    several.map(({ shape }) => shape),
    [
      [5, 3],
      [5, 3],
    ],
  );
  await t.throwsAsync(predict(model, []), { instanceOf: DataError });
  await t.throwsAsync(predict(model, x, { steps: 0 }), { instanceOf: OptionError });
});

test("an own loop sees each step, and leaving it frees the model", async (t) => {
  const model = new FakeModel({ loss: (step) => step });
  const seen: TrainingStep[] = [];
  for await (const step of steps(model, batches, { epochs: 2 })) seen.push(step);
  t.deepEqual(
    seen.map(({ epoch, step, iteration, loss, metrics, tokens }) => [epoch, step, iteration, loss, metrics, tokens]),
    [0, 1].flatMap((epoch) =>
      [0, 1, 2].map((step) => {
        const index = 3 * epoch + step;
        return [epoch, step, index + 1, index, { accuracy: 1 }, step === 2 ? 1 : 2];
      }),
    ),
  );
  t.true(seen.every(({ tokensPerSecond }) => tokensPerSecond > 0));
  for await (const step of steps(model, { x, y }, { batchSize: 1, shuffle: false })) {
    await t.throwsAsync(fit(model, x, y), { instanceOf: StateError, message: /by steps already/ });
    if (step.step === 1) break;
  }
  t.is(model.trained.length, 6 + 2);
  await fit(model, x, y, { verbose: "silent" });
});

test("an own loop checks its options and data, and does not judge the loss", async (t) => {
  const model = new FakeModel({ loss: () => Number.NaN });
  const first = (...args: [unknown, object?]) => steps(model, ...(args as [typeof batches, object?])).next();
  await t.throwsAsync(first(batches, { epoch: 1 }), { instanceOf: OptionError });
  await t.throwsAsync(first({ x: [[1]], y: [[1, 2]] }), { instanceOf: ShapeError });
  t.is((await first(batches)).value!.loss, Number.NaN);
});

test("single batches are trained and tested on", async (t) => {
  const model = new FakeModel({ loss: () => 2, testLoss: () => 3 });
  t.deepEqual(await trainOnBatch(model, x, y), { loss: 2, accuracy: 0.4 });
  t.deepEqual(await testOnBatch(model, x, y), { loss: 3, accuracy: 0.4 });
  const { learningRate, update, gradientScale, targets } = model.trained[0]!;
  t.deepEqual([learningRate, update, gradientScale, targets[0]!.data], [0.01, true, 1, y.data]);
  const single = new FakeModel({ outputs: [output("dense", ["batch", 3])] });
  await trainOnBatch(single, x, Int32Array.of(0, 1, 2, 0, 1), { classWeight: new Map([[2, 7]]) });
  t.deepEqual([...single.trained[0]!.sampleWeights[0]!.data], [1, 1, 7, 1, 1]);
  await t.throwsAsync(trainOnBatch(model, x, y, { epochs: 1 } as never), { instanceOf: OptionError });
  await t.throwsAsync(trainOnBatch(new FakeModel({ loss: () => Number.NaN }), x, y), { instanceOf: NaNLossError });
});

test("a batch of a dataset that does not fit is named", async (t) => {
  const list = [pairs(2), pairs(2)].map(({ x: inputs, y: targets }) => ({ inputs: [inputs], targets: [targets] }));
  list[1]!.targets = [pairs(3).y];
  await t.throwsAsync(evaluate(new FakeModel(), list), {
    instanceOf: DataError,
    message: /^batch 1: target of "dense" has 3 rows/,
  });
  list[1]!.targets = [];
  await t.throwsAsync(evaluate(new FakeModel(), list), { message: /^batch 1: .* 1 targets, got 0/ });
  await t.throwsAsync(evaluate(new FakeModel(), Dataset.from([{ a: 1 } as never])), { instanceOf: DataError });
  await t.throwsAsync(evaluate(new FakeModel(), Dataset.from([null as never])), { instanceOf: DataError });
});
