import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Dataset } from "../../src/data/dataset.ts";
import { stack } from "../../src/data/example.ts";
import { backupAndRestore, type Callback, type FitOptions, fit } from "../../src/training/index.ts";
import { FakeModel, pairs, withoutSync } from "./fake-model.ts";

withoutSync();
const folder = mkdtempSync(join(tmpdir(), "sconce-max-updates-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const quiet = { verbose: "silent" } as const;
const { x, y } = pairs(10);
/** Five steps an epoch. */
const batches = Dataset.fromArrays([x], [y]).shuffle(3).batch(2, stack);

test("training ends after so many updates, within an epoch, which is logged", async (t) => {
  const model = new FakeModel();
  const ended: number[] = [];
  const { epoch, history } = await fit(model, batches, {
    ...quiet,
    maxUpdates: 7,
    validationData: batches,
    callbacks: [{ onEpochEnd: (number) => void ended.push(number) }],
  });
  t.is(model.updates, 7);
  t.deepEqual(
    [epoch, ended],
    [
      [0, 1],
      [0, 1],
    ],
  );
  t.is(history.valLoss!.length, 2);
  // What was trained is what an unlimited run begins with.
  const whole = new FakeModel();
  await fit(whole, batches, { ...quiet, epochs: 2 });
  t.deepEqual(model.trained, whole.trained.slice(0, 7));
});

test("the end of an epoch, epochs and accumulated steps count too", async (t) => {
  const run = async (options: FitOptions) => {
    const model = new FakeModel();
    const { epoch } = await fit(model, batches, { ...quiet, ...options });
    return { updates: model.updates, steps: model.trained.length, epochs: epoch.length };
  };
  t.deepEqual(await run({ maxUpdates: 5 }), { updates: 5, steps: 5, epochs: 1 });
  t.deepEqual(await run({ maxUpdates: 100, epochs: 2 }), { updates: 10, steps: 10, epochs: 2 });
  // Groups of two, two and one in each epoch.
  t.deepEqual(await run({ maxUpdates: 4, accumulateSteps: 2 }), { updates: 4, steps: 7, epochs: 2 });
  t.deepEqual(await run({ maxUpdates: 7, stepsPerEpoch: 3 }), { updates: 7, steps: 7, epochs: 3 });
});

test("an interrupted run ends at the same update, wherever it was interrupted", async (t) => {
  for (const options of [{}, { accumulateSteps: 2 }, { stepsPerEpoch: 4 }]) {
    const run = async (model: FakeModel, place: string, callbacks: Callback[], signal?: AbortSignal) => {
      const own = { ...quiet, ...options, maxUpdates: 6, validationData: batches, seed: 1 };
      const history = await fit(model, batches, {
        ...own,
        callbacks: [backupAndRestore({ folder: join(folder, place), saveFreq: 1 }), ...callbacks],
        ...(signal === undefined ? {} : { signal }),
      });
      return { history, weights: model.weights, updates: model.updates };
    };
    const whole = await run(new FakeModel(), "whole", [{ onBatchEnd() {} }]);
    const steps = 12;
    for (let after = 1; after <= steps; after++) {
      const place = `after-${JSON.stringify(options).replace(/\W/g, "")}-${after}`;
      const controller = new AbortController();
      let done = 0;
      const stop: Callback = {
        onBatchEnd() {
          done += 1;
          if (done === after) controller.abort(new Error("stop"));
        },
      };
      const first = await run(new FakeModel(), place, [stop], controller.signal).catch((error: Error) => error.message);
      if (first !== "stop") {
        t.true(after > 6, `${after}`);
        break;
      }
      t.deepEqual(
        await run(new FakeModel(), place, [{ onBatchEnd() {} }]),
        whole,
        `${after} ${JSON.stringify(options)}`,
      );
    }
  }
});
