import { readFileSync } from "node:fs";
import test from "ava";
import { input, type Loss, layers, losses, type Metric, metrics, model, ndarray, optimizers } from "../../src/index.ts";
import { formulaValues } from "../helpers/formula-weights.ts";
import { type GoldenDocument, type GoldenWeight, goldenModel, goldenWeights } from "../helpers/golden-model.ts";

interface GoldenArray {
  shape: number[];
  data: number[];
}

type Options = { type: string } & Record<string, unknown>;

interface Outputs {
  shape: number[];
  seed: number;
  mask: number[] | null;
  target: GoldenArray;
  sampleWeight: GoldenArray | null;
}

/** The parts of `__test__/golden/keras/losses.json`; its field `about` says what each means. */
interface Golden {
  losses: (Outputs & { loss: Options; scale: number; shift: number; expected: { loss: number; gradient: number[] } })[];
  metrics: {
    metrics: Options[];
    ids: boolean;
    scale: number;
    shift: number;
    batches: Outputs[];
    expected: [number[], number[]];
  }[];
  fits: {
    name: string;
    document: GoldenDocument;
    weights: GoldenWeight[];
    losses: Options[];
    metrics: Options[];
    lossWeights: number[] | null;
    targets: GoldenArray[];
    classWeight: Record<number, number> | null;
    sampleWeight: GoldenArray | GoldenArray[] | null;
    expected: { loss: number[]; others: number[][] };
    final: number[][];
  }[];
}

const file = new URL("../golden/keras/losses.json", import.meta.url);
const golden = JSON.parse(readFileSync(file, "utf8")) as Golden;

function lossOf({ type, ...options }: Options): Loss {
  return { ...losses }[type as "huber"](options as never);
}

function metricOf({ type, ...options }: Options, name?: string): Metric {
  return { ...metrics }[type as "accuracy"]({ ...options, ...(name === undefined ? {} : { name }) } as never);
}

const floats = ({ data, shape }: GoldenArray) => ndarray(Float32Array.from(data), shape);
const integers = ({ data, shape }: GoldenArray) => ndarray(Int32Array.from(data), shape);
const product = (sizes: readonly number[]) => sizes.reduce((size, next) => size * next, 1);

function assertNear(t: { true(ok: boolean, message: string): void }, what: string, found: number, expected: number) {
  t.true(
    Math.abs(found - expected) <= 2e-5 * Math.max(0.05, Math.abs(expected)),
    `${what}: ${found}, Keras' ${expected}`,
  );
}

/** A model whose outputs are rows of a table, the masked ones row 0; the gradient by an output is then that by a row. */
function tableModel(shape: readonly number[]) {
  const positions = product(shape.slice(0, -1));
  const ids = input({ shape: shape.slice(1, -1).map(() => null), dtype: "int32", name: "ids" });
  const table = layers.embedding({ inputDim: positions + 1, outputDim: shape.at(-1)!, maskZero: true, name: "table" });
  return model({ inputs: ids, outputs: table(ids) });
}

function ids({ shape, mask }: Outputs) {
  const positions = product(shape.slice(0, -1));
  const data = Int32Array.from({ length: positions }, (_, index) => (mask?.[index] === 0 ? 0 : index + 1));
  return ndarray(data, shape.slice(0, -1));
}

/** Row 0, then the outputs. */
function rows({ shape, seed }: Outputs, scale: number, shift: number): Float32Array {
  const values = formulaValues(seed, product(shape), scale).map((value) => Math.fround(value + Math.fround(shift)));
  const width = shape.at(-1)!;
  return Float32Array.from([...values.subarray(0, width), ...values]);
}

for (const { loss, scale, shift, expected, ...outputs } of golden.losses) {
  const { shape, mask, sampleWeight, target } = outputs;
  const weights = sampleWeight === null ? "" : `, weights [${sampleWeight.shape}]`;
  const title = `${JSON.stringify(loss)}, [${shape}]${mask === null ? "" : ", masked"}${weights}, targets [${target.shape}]`;
  test(`Keras: ${title}`, async (t) => {
    await using trained = tableModel(shape);
    trained.compile({ optimizer: optimizers.sgd({ learningRate: 1 }), loss: lossOf(loss) });
    const before = rows(outputs, scale, shift);
    await trained.setWeights([ndarray(before, [before.length / shape.at(-1)!, shape.at(-1)!])]);
    const y = loss.type === "sparseCategoricalCrossentropy" ? integers(target) : floats(target);
    const options = sampleWeight === null ? {} : { sampleWeight: floats(sampleWeight) };
    const { loss: tested } = await trained.testOnBatch(ids(outputs), y, options);
    const { loss: found } = await trained.trainOnBatch(ids(outputs), y, options);
    assertNear(t, "loss", found, expected.loss);
    t.is(tested, found);
    const after = (await trained.getWeights())[0]!.data.subarray(shape.at(-1));
    const largest = expected.gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    for (const [index, value] of expected.gradient.entries()) {
      const was = before[index + shape.at(-1)!]!;
      const difference = Math.abs(was - after[index]! - value);
      // The update rounds to the weights' digits.
      t.true(
        difference <= 2e-5 * largest + 3e-7 * Math.abs(was),
        `gradient ${index}: ${was - after[index]!}, ${value}`,
      );
    }
  });
}

for (const [number, { metrics: documents, ids: ofIds, scale, shift, batches, expected }] of golden.metrics.entries()) {
  test(`Keras: metrics ${number}`, async (t) => {
    const largest = batches.reduce((most, { shape }) => (product(shape) > product(most) ? shape : most), [0]);
    await using evaluated = tableModel(largest);
    const list = documents.map((document, index) => metricOf(document, `metric${index}`));
    evaluated.compile({
      loss: ofIds ? "sparseCategoricalCrossentropy" : "meanSquaredError",
      metrics: list,
      weightedMetrics: list,
    });
    // One table for each batch: its results are added as those of batches of one pass.
    const sums = [...list, ...list].map(() => ({ total: 0, count: 0 }));
    for (const batch of batches) {
      const { sampleWeight, target } = batch;
      const size = product(largest.slice(0, -1)) + 1;
      const table = new Float32Array(size * largest.at(-1)!);
      table.set(rows(batch, scale, shift));
      await evaluated.setWeights([{ data: table, shape: [size, largest.at(-1)!] }]);
      const request = {
        inputs: [{ data: ids(batch).data, shape: batch.shape.slice(0, -1) }],
        targets: [ofIds ? integers(target) : floats(target)].map(({ data, shape }) => ({ data, shape: [...shape] })),
        sampleWeights: [
          sampleWeight === null ? null : { data: Float32Array.from(sampleWeight.data), shape: sampleWeight.shape },
        ],
        learningRate: 0,
        update: false,
        gradientScale: 1,
        bfloat16: false,
      };
      const { outputs } = await evaluated.trainer().testOnBatch(request, undefined);
      for (const [index, sum] of sums.entries()) {
        sum.total += outputs[0]!.metrics[index]!.total;
        sum.count += outputs[0]!.metrics[index]!.count;
      }
    }
    for (const [index, value] of expected.flat().entries()) {
      const metric = list[index % list.length]!;
      const what = `${index < list.length ? "" : "weighted "}${JSON.stringify(metric.document)}`;
      assertNear(t, what, metric.read(sums[index]!.total, sums[index]!.count), value);
    }
  });
}

for (const fit of golden.fits) {
  test(`Keras: fit, ${fit.name}`, async (t) => {
    await using trained = goldenModel(fit.document);
    const several = fit.losses.length > 1;
    const list = fit.metrics.map((metric) => metricOf(metric));
    trained.compile({
      optimizer: optimizers.sgd({ learningRate: 0.1 }),
      loss: several ? fit.losses.map(lossOf) : lossOf(fit.losses[0]!),
      metrics: several ? fit.losses.map(() => list) : list,
      ...(several ? {} : { weightedMetrics: list }),
      ...(fit.lossWeights === null ? {} : { lossWeights: fit.lossWeights }),
    });
    await trained.build();
    await trained.setWeights(goldenWeights(fit.weights));
    const whole = fit.losses[0]!.type === "sparseCategoricalCrossentropy";
    const targets = fit.targets.map((target) => (whole ? integers(target) : floats(target)));
    const { sampleWeight } = fit;
    const { history } = await trained.fit(ndarray(formulaValues(31, 48, 1), [12, 4]), several ? targets : targets[0]!, {
      batchSize: 5,
      epochs: 3,
      shuffle: false,
      verbose: 0,
      ...(fit.classWeight === null ? {} : { classWeight: fit.classWeight }),
      ...(sampleWeight === null
        ? {}
        : { sampleWeight: Array.isArray(sampleWeight) ? sampleWeight.map(floats) : floats(sampleWeight) }),
    });
    const { loss, ...rest } = history;
    for (const [epoch, value] of fit.expected.loss.entries()) assertNear(t, `loss ${epoch}`, loss![epoch]!, value);
    const sorted = (lists: number[][]) => lists.map(([first]) => first!).sort((a, b) => a - b);
    const found = sorted(Object.values(rest));
    t.is(found.length, fit.expected.others.length, Object.keys(rest).join());
    for (const [index, value] of sorted(fit.expected.others).entries()) assertNear(t, "others", found[index]!, value);
    for (const [index, weight] of (await trained.getWeights()).entries()) {
      for (const [at, value] of fit.final[index]!.entries()) assertNear(t, "weight", weight.data[at]!, value);
    }
  });
}
