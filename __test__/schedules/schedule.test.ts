import test from "ava";
import {
  cosineDecay,
  exponentialDecay,
  inverseSqrt,
  OptionError,
  piecewiseConstant,
  StateError,
} from "../../src/index.ts";
import { functionSchedule, restoreSchedule } from "../../src/schedules/schedule.ts";

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
  ]) {
    const again = restoreSchedule(JSON.parse(JSON.stringify(schedule.document)));
    for (let step = 0; step < 6; step++) t.is(again.at(step), schedule.at(step), schedule.document.type);
  }
  const lost = restoreSchedule(functionSchedule(() => 1).document);
  t.throws(() => lost.at(0), { instanceOf: StateError, message: /set optimizer.learningRate/ });
  t.throws(() => restoreSchedule({ type: "constructor" }), { instanceOf: OptionError });
});
