import test from "ava";
import { evaluate, fit, type PassOptions, type ProgressEvent, predict } from "../../src/training/index.ts";
import { Progress } from "../../src/training/progress.ts";
import { FakeModel, pairs } from "./fake-model.ts";

/** A clock that is moved by hand, and a terminal or file that keeps what is written. */
function stage(isTTY: boolean) {
  const written: string[] = [];
  const around = {
    time: 0,
    now: () => around.time,
    output: { isTTY, columns: 60, write: (text: string) => written.push(text) },
  };
  return { around, written };
}

/** Steps of 10 ms with 50 tokens each. */
function phase(progress: Progress, around: { time: number }, epoch: number, steps: number, known = true): void {
  progress.begin("train", epoch, known ? steps : undefined);
  const values = (step: number) => () => ({ loss: 8 / step, accuracy: 0.5 });
  for (let step = 1; step <= steps; step++) {
    around.time += 10;
    progress.step(step, 50 * step, values(step));
  }
  progress.end(steps, 50 * steps, values(steps));
}

test("events come at most twenty times a second, and the last is told", (t) => {
  const { around } = stage(false);
  const events: ProgressEvent[] = [];
  const times: number[] = [];
  const onProgress = (event: ProgressEvent) => {
    events.push(event);
    times.push(around.time);
  };
  const progress = new Progress("fit", { onProgress, verbose: 0 }, 2, around);
  phase(progress, around, 0, 32);
  phase(progress, around, 1, 33);
  t.true(times.slice(1).every((time, index) => time - times[index]! >= 50));
  progress.close();
  const { step, epoch } = events.at(-1)!;
  t.deepEqual([epoch, step], [1, 33]);
  t.is(events.length, new Set(events.map((event) => `${event.epoch} ${event.step}`)).size);
  t.true(events.length <= 65 / 5 + 2);
  t.deepEqual(events[1], {
    phase: "train",
    epoch: 0,
    step: 6,
    steps: 32,
    loss: 8 / 6,
    metrics: { accuracy: 0.5 },
    tokensPerSecond: 5000,
    elapsedSeconds: 0.06,
    etaSeconds: 0.26,
  });
});

test("the number of steps is told as soon as it is known", (t) => {
  const { around, written } = stage(true);
  const told: (number | undefined)[] = [];
  const progress = new Progress("fit", { onProgress: ({ steps }) => void told.push(steps) }, 2, around);
  progress.begin("train", 1, 5);
  progress.expect(7);
  around.time += 1000;
  progress.step(6, 10, () => ({ loss: 1 }));
  t.deepEqual(told, [7]);
  t.regex(written.at(-1)!, /6\/7/);
});

test("without a terminal an epoch is a line without control characters", (t) => {
  for (const verbose of ["auto", "lines", "progress", 1, 2] as const) {
    const { around, written } = stage(false);
    const progress = new Progress("fit", { verbose }, 3, around);
    phase(progress, around, 0, 20);
    t.deepEqual(written, []);
    progress.finish({ loss: 0.4, accuracy: 0.5, valLoss: 1e-7 }, 0, 5000, 0.2);
    t.deepEqual(written, ["epoch 1/3: loss 0.4000, accuracy 0.5000, valLoss 1.000e-7, 5000 tokens/s, 0.2 s\n"]);
  }
});

test("on a terminal a bar is drawn at most ten times a second, no wider than the terminal", (t) => {
  const { around, written } = stage(true);
  const progress = new Progress("fit", {}, 3, around);
  phase(progress, around, 0, 100);
  t.true(written.length >= 8 && written.length <= 11, `${written.length}`);
  // The start of each text clears the line.
  t.true(written.every((text) => text.startsWith("\r\u001b[2K") && text.length - 5 <= 59));
  t.true(written.at(-1)!.includes("epoch 1/3 [=================="));
  progress.finish({ loss: 0.4 }, 0, 12_345, 3725);
  t.is(written.at(-1), "\r\u001b[2Kepoch 1/3: loss 0.4000, 12.3k tokens/s, 1:02:05\n");
});

test("the bar shows remaining time where the number of steps is known", (t) => {
  for (const known of [true, false]) {
    const { around, written } = stage(true);
    around.output.columns = 200;
    const progress = new Progress("fit", {}, 1, around);
    phase(progress, around, 0, 20, known);
    t.is(
      written[0],
      known
        ? "\r\u001b[2Kepoch 1/1 [=...................] 1/20 loss 8.0000, accuracy 0.5000, 5000 tokens/s, 0.2 s left"
        : "\r\u001b[2Kepoch 1/1 1 loss 8.0000, accuracy 0.5000, 5000 tokens/s",
    );
  }
});

test("nothing is printed on request, and nothing is computed for nobody", (t) => {
  for (const verbose of ["silent", 0] as const) {
    const { around, written } = stage(true);
    const progress = new Progress("fit", { verbose }, 1, around);
    t.false(progress.watched);
    progress.begin("train", 0, 3);
    progress.step(1, 1, () => t.fail() as never);
    progress.finish({ loss: 1 }, 0, 1, 1);
    progress.abandon();
    t.deepEqual(written, []);
  }
});

test("after an error the cursor stands on a new line", (t) => {
  const { around, written } = stage(true);
  const progress = new Progress("fit", {}, 1, around);
  phase(progress, around, 0, 20);
  progress.abandon();
  t.is(written.at(-1), "\n");
});

test("each call reports its phases", async (t) => {
  const { x, y } = pairs(5);
  const model = new FakeModel();
  const phases = async (call: (options: PassOptions) => Promise<unknown>) => {
    const events: ProgressEvent[] = [];
    await call({ verbose: "silent", onProgress: (event) => events.push(event) });
    const { phase, step, steps } = events.at(-1)!;
    return [phase, step, steps];
  };
  t.deepEqual(await phases((options) => fit(model, x, y, { batchSize: 2, ...options })), ["train", 3, 3]);
  const validated = (options: PassOptions) =>
    fit(model, x, y, { validationData: [x, y], validationBatchSize: 1, ...options });
  t.deepEqual(await phases(validated), ["validate", 5, 5]);
  t.deepEqual(await phases((options) => evaluate(model, x, y, { batchSize: 2, ...options })), ["validate", 3, 3]);
  t.deepEqual(await phases((options) => predict(model, x, { batchSize: 2, ...options })), ["predict", 3, 3]);
});
