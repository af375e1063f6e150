import { readFileSync } from "node:fs";
import test from "ava";
import {
  type CosineDecayOptions,
  type CosineDecayRestartsOptions,
  cosineDecay,
  cosineDecayRestarts,
  type ExponentialDecayOptions,
  exponentialDecay,
  type InverseTimeDecayOptions,
  inverseSqrt,
  inverseTimeDecay,
  type LinearWarmupOptions,
  linearWarmup,
  OptionError,
  optimizers,
  type PiecewiseConstantOptions,
  type PolynomialDecayOptions,
  piecewiseConstant,
  polynomialDecay,
  type Schedule,
  StateError,
} from "../../src/index.ts";
import { restoreOptimizer } from "../../src/optimizers/resolve.ts";
import { restoreSchedule } from "../../src/schedules/restore.ts";
import { functionSchedule } from "../../src/schedules/schedule.ts";

interface Case<Options> {
  options: Options;
  steps: number[];
  rates: number[];
}
interface Golden {
  polynomialDecay: Case<PolynomialDecayOptions>[];
  cosineDecayRestarts: Case<CosineDecayRestartsOptions>[];
  linearWarmup: (Case<LinearWarmupOptions> & { cosineDecay: CosineDecayOptions })[];
  exponentialDecay: Case<ExponentialDecayOptions>[];
  inverseTimeDecay: Case<InverseTimeDecayOptions>[];
  cosineDecay: Case<CosineDecayOptions>[];
  piecewiseConstant: Case<PiecewiseConstantOptions>[];
}

const golden: Golden = JSON.parse(readFileSync(new URL("../golden/keras/schedules.json", import.meta.url), "utf8"));
const made: [schedule: Schedule, expected: Case<unknown>][] = [];
for (const item of golden.polynomialDecay) made.push([polynomialDecay(item.options), item]);
for (const item of golden.cosineDecayRestarts) made.push([cosineDecayRestarts(item.options), item]);
for (const item of golden.linearWarmup) {
  made.push([linearWarmup({ ...item.options, after: cosineDecay(item.cosineDecay) }), item]);
}
for (const item of golden.exponentialDecay) made.push([exponentialDecay(item.options), item]);
for (const item of golden.inverseTimeDecay) made.push([inverseTimeDecay(item.options), item]);
for (const item of golden.cosineDecay) made.push([cosineDecay(item.options), item]);
for (const item of golden.piecewiseConstant) made.push([piecewiseConstant(item.options), item]);

test("schedules equal Keras", (t) => {
  t.is(made.length, 84);
  for (const [schedule, { options, steps, rates }] of made) {
    for (const [index, step] of steps.entries()) {
      const difference = Math.abs(schedule.at(step) - rates[index]!);
      t.true(
        difference < 1e-12 * Math.max(1, rates[index]!),
        `${schedule.document.type} ${JSON.stringify(options)} at ${step}: ${schedule.at(step)}, ${rates[index]}`,
      );
    }
  }
});

test("inverseSqrt rises to its peak and falls with the root of the step", (t) => {
  const schedule = inverseSqrt({ peak: 2, warmup: 4 });
  t.deepEqual(
    [0, 1, 3, 15].map((step) => schedule.at(step)),
    [0.5, 1, 2, 1],
  );
});

test("exponentialDecay multiplies by the rate, smoothly or in stairs", (t) => {
  const options = { initialLearningRate: 1, decaySteps: 2, decayRate: 0.25 };
  t.deepEqual(
    [0, 1, 2, 3].map((step) => exponentialDecay(options).at(step)),
    [1, 0.5, 0.25, 0.125],
  );
  const stairs = exponentialDecay({ ...options, staircase: true });
  t.deepEqual(
    [0, 1, 2, 3].map((step) => stairs.at(step)),
    [1, 1, 0.25, 0.25],
  );
});

test("cosineDecay falls along half a cosine, after a warm-up if there is one", (t) => {
  const plain = cosineDecay({ initialLearningRate: 1, decaySteps: 4, alpha: 0.5 });
  t.deepEqual(
    [0, 2, 4, 9].map((step) => Number(plain.at(step).toFixed(12))),
    [1, 0.75, 0.5, 0.5],
  );
  const warm = cosineDecay({ initialLearningRate: 0, decaySteps: 4, warmupSteps: 2, warmupTarget: 1 });
  t.deepEqual(
    [0, 1, 2, 4, 6].map((step) => Number(warm.at(step).toFixed(12))),
    [0, 0.5, 1, 0.5, 0],
  );
});

test("polynomialDecay stays at its end, or begins a longer decay", (t) => {
  const options = { initialLearningRate: 1, decaySteps: 4, endLearningRate: 0.5 };
  t.deepEqual(
    [0, 2, 4, 6].map((step) => polynomialDecay(options).at(step)),
    [1, 0.75, 0.5, 0.5],
  );
  t.deepEqual(
    [0, 2, 4, 6, 8].map((step) => polynomialDecay({ ...options, cycle: true }).at(step)),
    [1, 0.75, 0.5, 0.625, 0.5],
  );
});

test("cosineDecayRestarts restarts with the first step of each period", (t) => {
  for (const tMul of [1, 2, 3, 5, 10]) {
    const schedule = cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 7, tMul, mMul: 0.5 });
    let start = 0;
    for (let restarts = 0; restarts < 9; restarts++) {
      t.is(schedule.at(start), 0.5 ** restarts, `tMul ${tMul}, restart ${restarts}`);
      start += 7 * tMul ** restarts;
      t.true(schedule.at(start - 1) < 0.5 ** restarts * 0.2, `tMul ${tMul}, before restart ${restarts + 1}`);
    }
  }
});

test("linearWarmup rises from 0 to its peak, and stays or hands over", (t) => {
  const steps = [0, 1, 4, 5, 6];
  t.deepEqual(
    steps.map((step) => linearWarmup({ peak: 2, warmup: 4 }).at(step)),
    [0, 0.5, 2, 2, 2],
  );
  const after = exponentialDecay({ initialLearningRate: 2, decaySteps: 1, decayRate: 0.5 });
  t.deepEqual(
    steps.map((step) => linearWarmup({ peak: 2, warmup: 4, after }).at(step)),
    [0, 0.5, 2, 1, 0.5],
  );
});

test("piecewiseConstant changes after each boundary", (t) => {
  const schedule = piecewiseConstant({ boundaries: [1, 3], values: [3, 2, 1] });
  t.deepEqual(
    [0, 1, 2, 3, 4].map((step) => schedule.at(step)),
    [3, 3, 2, 2, 1],
  );
});

test("wrong options are refused", (t) => {
  for (const make of [
    () => inverseSqrt({ peak: 1, warmup: 0 }),
    () => inverseSqrt({ peak: 1, warmUp: 1 } as never),
    () => exponentialDecay({ initialLearningRate: 1, decaySteps: 0, decayRate: 1 }),
    () => cosineDecay({ initialLearningRate: 1, decaySteps: 1, alpha: 2 }),
    () => piecewiseConstant({ boundaries: [1], values: [1] }),
    () => piecewiseConstant({ boundaries: [2, 1], values: [1, 2, 3] }),
    () => piecewiseConstant({ boundaries: 1 as never, values: [1, 2] }),
    () => polynomialDecay({ initialLearningRate: 1, decaySteps: 1, power: -1 }),
    () => polynomialDecay({ initialLearningRate: 1, decaySteps: 1, cycle: 1 as never }),
    () => cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 1, tMul: 0.5 }),
    () => cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 1, alpha: 2 }),
    () => linearWarmup({ peak: 1, warmup: 0 }),
    () => linearWarmup({ peak: 1, warmup: 1, after: (() => 1) as never }),
    () => linearWarmup({ peak: 1, warmup: 1, after: linearWarmup({ peak: 1, warmup: 1 }) }),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
});

test("documents give schedules again; a function is not saved", (t) => {
  for (const schedule of [
    inverseSqrt({ peak: 2, warmup: 4 }),
    exponentialDecay({ initialLearningRate: 1, decaySteps: 3, decayRate: 0.5, staircase: true }),
    cosineDecay({ initialLearningRate: 0.1, decaySteps: 4, warmupSteps: 2, warmupTarget: 1 }),
    piecewiseConstant({ boundaries: [1], values: [1, 0.5] }),
    polynomialDecay({ initialLearningRate: 1, decaySteps: 2, endLearningRate: 0.1, power: 2, cycle: true }),
    cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 2, tMul: 1.5, mMul: 0.5, alpha: 0.1 }),
    linearWarmup({ peak: 2, warmup: 4 }),
    linearWarmup({ peak: 2, warmup: 2, after: cosineDecay({ initialLearningRate: 2, decaySteps: 3 }) }),
  ]) {
    const { document, rateDocument } = optimizers.sgd({ learningRate: schedule });
    const optimizer = restoreOptimizer(JSON.parse(JSON.stringify({ ...document, learningRate: rateDocument })));
    for (let step = 0; step < 6; step++) t.is(optimizer.at(step), schedule.at(step), schedule.document.type);
    const again = restoreSchedule(JSON.parse(JSON.stringify(schedule.document)));
    for (let step = 0; step < 6; step++) t.is(again.at(step), schedule.at(step), schedule.document.type);
  }
  const lost = restoreSchedule(functionSchedule(() => 1).document);
  t.throws(() => lost.at(0), { instanceOf: StateError, message: /set optimizer.learningRate/ });
  t.throws(() => restoreSchedule({ type: "constructor" }), { instanceOf: OptionError });
  let nested: object = { type: "cosineDecay", initialLearningRate: 1, decaySteps: 1 };
  for (let depth = 0; depth < 100_000; depth++) nested = { type: "linearWarmup", peak: 1, warmup: 1, after: nested };
  t.throws(() => restoreSchedule(nested), { instanceOf: OptionError });
});
