import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Dataset } from "../../src/data/dataset.ts";
import { type DataBatch, stack } from "../../src/data/example.ts";
import { streamParallelText } from "../../src/data/readers/parallel-text.ts";
import { FileError, FormatError, OptionError, StateError } from "../../src/errors.ts";
import {
  backupAndRestore,
  type Callback,
  csvLogger,
  earlyStopping,
  type FitOptions,
  fit,
  learningRateSchedule,
  reduceLrOnPlateau,
} from "../../src/training/index.ts";
import { FakeModel, pairs, withoutSync } from "./fake-model.ts";

withoutSync();
const quiet = { verbose: "silent" } as const;
const { x, y } = pairs(11);
const batches = Dataset.fromArrays([x], [y]).shuffle(3).batch(2, stack);
/** Five batches in the first epoch, six in the others. */
const byTokens = Dataset.fromArrays([x], [y])
  .shuffle(4)
  .batch({ length: ({ inputs }) => 1 + (inputs[0]!.data[0]! % 5), batchTokens: 10 }, stack);
const killed = new Error("killed");

async function temporary(): Promise<string> {
  return mkdtemp(join(tmpdir(), "sconce-resume-"));
}

/** Throws in a step, as if the process had died there. */
function killAt(epoch: number, step: number): Callback {
  let current = 0;
  return {
    onEpochBegin(begun) {
      current = begun;
    },
    onBatchBegin(begun) {
      if (current === epoch && begun === step) throw killed;
    },
  };
}

/** What of a run must be equal, however often it was interrupted. */
async function outcome(
  start: (model: FakeModel, callbacks: Callback[]) => ReturnType<typeof fit>,
  model: FakeModel,
  callbacks: Callback[],
  log: string,
): Promise<unknown> {
  const history = await start(model, callbacks);
  return { history, weights: model.weights, updates: model.updates, log: await readFile(log, "utf8") };
}

/** All callbacks with a state. */
function stateful(log: string): Callback[] {
  return [
    earlyStopping({ monitor: "loss", patience: 9, restoreBestWeights: true }),
    reduceLrOnPlateau({ monitor: "loss", patience: 1, factor: 0.5 }),
    learningRateSchedule((_epoch, rate) => rate * 0.9),
    csvLogger({ path: log }),
  ];
}

type Start = (model: FakeModel, callbacks: Callback[]) => ReturnType<typeof fit>;
const settings: FitOptions = { epochs: 4, ...quiet };
const runs: Record<string, Start> = {
  "shuffled arrays": (model, callbacks) => fit(model, x, y, { ...settings, batchSize: 2, seed: 7, callbacks }),
  "arrays with validation": (model, callbacks) =>
    fit(model, x, y, { ...settings, batchSize: 2, seed: 7, validationSplit: 0.3, callbacks }),
  "arrays with a fixed number of steps": (model, callbacks) =>
    fit(model, x, y, { ...settings, batchSize: 2, seed: 7, stepsPerEpoch: 4, callbacks }),
  "accumulated gradients": (model, callbacks) =>
    fit(model, x, y, { ...settings, batchSize: 2, seed: 7, accumulateSteps: 4, callbacks }),
  "a dataset": (model, callbacks) => fit(model, batches, { ...settings, callbacks }),
  "a dataset with a fixed number of steps": (model, callbacks) =>
    fit(model, batches, { ...settings, stepsPerEpoch: 4, callbacks }),
  "a dataset with more batches in later epochs": (model, callbacks) => fit(model, byTokens, { ...settings, callbacks }),
  "accumulated gradients of a dataset with more batches in later epochs": (model, callbacks) =>
    fit(model, byTokens, { ...settings, accumulateSteps: 4, callbacks }),
  "a stream": (model, callbacks) => fit(model, streamed(), { ...settings, callbacks }),
  "a stream with a fixed number of steps": (model, callbacks) =>
    fit(model, streamed(), { ...settings, stepsPerEpoch: 4, callbacks }),
  "a stream with accumulated gradients": (model, callbacks) =>
    fit(model, streamed(), { ...settings, accumulateSteps: 4, callbacks }),
};

const table = join(tmpdir(), `sconce-resume-${process.pid}.tsv`);
test.before(() => writeFile(table, Array.from({ length: 11 }, (_, row) => `${row} ${row % 3}\t${row} 1\n`).join("")));
test.after.always(() => rm(table, { force: true }));

/** Pairs of a file, in windows of four. */
function streamed(): Dataset<DataBatch> {
  const ids = (text: string) => Int32Array.from(text.split(" "), Number);
  return streamParallelText(table)
    .shuffle(3, { window: 4 })
    .map(({ source, target }) => ({
      inputs: [{ data: ids(source), shape: [2] }],
      targets: [{ data: ids(target), shape: [2] }],
    }))
    .bucketByLength({ length: () => 2, batchSize: 2, seed: 5, window: 4 }, stack);
}

for (const [name, start] of Object.entries(runs)) {
  for (const saveFreq of ["epoch", 1, 3] as const) {
    test(`a killed run on ${name} that saves at ${saveFreq} ends as if it had not been`, async (t) => {
      const folder = await temporary();
      const log = join(folder, "log.csv");
      const expected = await outcome(start, new FakeModel(), stateful(log), log);
      for (const [epoch, step] of [
        [0, 2],
        [1, 0],
        [2, 3],
        [3, 1],
      ] as const) {
        const backup = join(folder, "backup");
        const callbacks = () => [...stateful(log), backupAndRestore({ folder: backup, saveFreq })];
        await t.throwsAsync(start(new FakeModel(), [...callbacks(), killAt(epoch, step)]), { is: killed });
        const model = new FakeModel();
        // Equal but for the callback that kills.
        t.deepEqual(await outcome(start, model, [...callbacks(), { onTrainBegin() {} }], log), expected);
        if (epoch > 1) t.true(model.trained.length < 16, "it began anew");
        t.deepEqual((await readdir(folder)).sort(), ["log.csv"]);
      }
      await rm(folder, { recursive: true });
    });
  }
}

test("a run that is killed again and again ends as if it had not been", async (t) => {
  const folder = await temporary();
  const start = runs["shuffled arrays"]!;
  const expected = new FakeModel();
  await start(expected, []);
  let kills = 0;
  for (;;) {
    const model = new FakeModel();
    let steps = 0;
    const kill: Callback = {
      onBatchEnd() {
        steps += 1;
        if (steps === 3) throw killed;
      },
    };
    try {
      await start(model, [backupAndRestore({ folder: join(folder, "backup"), saveFreq: 1 }), kill]);
      t.is(model.weights, expected.weights);
      break;
    } catch (error) {
      t.is(error, killed);
      kills += 1;
    }
  }
  t.true(kills >= 8);
  await rm(folder, { recursive: true });
});

test("an abort saves, also between two updates, and the next run goes on there", async (t) => {
  for (const [name, options] of Object.entries({
    single: {},
    accumulated: { accumulateSteps: 2 },
    validated: { validationData: [x, y] as const },
  })) {
    const folder = await temporary();
    const run = (model: FakeModel, callback: Callback, signal?: AbortSignal) =>
      fit(model, x, y, {
        ...settings,
        ...options,
        batchSize: 2,
        seed: 1,
        callbacks: [backupAndRestore({ folder: join(folder, "backup") }), callback],
        ...(signal === undefined ? {} : { signal }),
      });
    const nothing = { onTrainBegin() {} };
    const whole = new FakeModel();
    const expected = await run(whole, nothing);
    const hooks: Callback[] = [];
    const controllers = [0, 1].map(() => new AbortController());
    let epoch = 0;
    for (const [index, controller] of controllers.entries()) {
      hooks.push({
        onEpochBegin(begun) {
          epoch = begun;
        },
        onBatchEnd(step) {
          if (epoch === 1 + index && step === 2) controller.abort(killed);
        },
      });
    }
    hooks.push({
      onEpochBegin(begun) {
        epoch = begun;
      },
      onValidationBegin() {
        if (epoch === 3) validating.abort(killed);
      },
    });
    const validating = new AbortController();
    controllers.push(validating);
    let trained = 0;
    for (const [index, hook] of hooks.entries()) {
      if (index === 2 && name !== "validated") continue;
      const model = new FakeModel();
      await t.throwsAsync(run(model, hook, controllers[index]!.signal), { is: killed });
      trained += model.trained.length;
    }
    const last = new FakeModel();
    t.deepEqual(await run(last, nothing), expected);
    t.is(last.weights, whole.weights);
    trained += last.trained.length;
    // No step but those of an unfinished group is done twice.
    t.is(trained - whole.trained.length, name === "accumulated" ? 2 : 0);
    await rm(folder, { recursive: true });
  }
});

test("a plain iterable refuses to resume before anything is trained", async (t) => {
  const folder = await temporary();
  const callbacks = [backupAndRestore({ folder: join(folder, "backup") })];
  for (const source of [Dataset.fromIterable(() => batches), { [Symbol.asyncIterator]: () => batches.iterate() }]) {
    const model = new FakeModel();
    await t.throwsAsync(fit(model, source, { callbacks, ...quiet }), {
      instanceOf: StateError,
      message: /plain iterable/,
    });
    t.is(model.trained.length, 0);
  }
  await rm(folder, { recursive: true });
});

/** A folder with a checkpoint of a run that was killed. */
async function interrupted(): Promise<{ backup: string; again: (options?: FitOptions) => Promise<FakeModel> }> {
  const backup = join(await temporary(), "backup");
  const again = async (options: FitOptions = {}) => {
    const model = new FakeModel();
    const callbacks = [backupAndRestore({ folder: backup, saveFreq: 1 }), { onTrainBegin() {} }];
    await fit(model, x, y, { ...settings, batchSize: 2, seed: 7, callbacks, ...options });
    return model;
  };
  const callbacks = [backupAndRestore({ folder: backup, saveFreq: 1 }), killAt(1, 2)];
  await fit(new FakeModel(), x, y, { ...settings, batchSize: 2, seed: 7, callbacks }).catch(() => undefined);
  return { backup, again };
}

test("other arguments than those of the interrupted run are refused, more epochs are not", async (t) => {
  const { backup, again } = await interrupted();
  for (const options of [
    { batchSize: 3 },
    { seed: 8 },
    { shuffle: false },
    { stepsPerEpoch: 2 },
    { accumulateSteps: 2 },
  ]) {
    const name = Object.keys(options)[0] === "shuffle" ? "seed" : Object.keys(options)[0];
    const message = new RegExp(`had ${name} .* pass the same arguments`);
    await t.throwsAsync(again(options), { instanceOf: OptionError, message });
  }
  await t.throwsAsync(again({ callbacks: [backupAndRestore({ folder: backup })] }), {
    instanceOf: OptionError,
    message: /callbacks/,
  });
  const model = await again({ epochs: 5 });
  t.is(model.updates, 5 * 6);
});

test("the seed of an interrupted run is taken over", async (t) => {
  const backup = join(await temporary(), "backup");
  const options = () => ({
    batchSize: 2,
    epochs: 2,
    callbacks: [backupAndRestore({ folder: backup, saveFreq: 1 }) as Callback],
    ...quiet,
  });
  const first = new FakeModel();
  const kill = options();
  await t.throwsAsync(fit(first, x, y, { ...kill, callbacks: [...kill.callbacks, killAt(0, 4)] }), { is: killed });
  const second = new FakeModel();
  const going = options();
  await fit(second, x, y, { ...going, callbacks: [...going.callbacks, { onTrainBegin() {} }] });
  const rows = [...first.trained, ...second.trained].slice(0, 6).flatMap(({ inputs }) => [...inputs[0]!.data]);
  t.deepEqual(
    rows.sort((a, b) => a - b),
    [...x.data],
  );
});

test("a damaged checkpoint is an error with a remedy", async (t) => {
  const { backup, again } = await interrupted();
  const marker = join(backup, "training.json");
  const text = await readFile(marker, "utf8");
  const document = JSON.parse(text);
  const damages = [
    "",
    "{",
    "[]",
    text.slice(0, -20),
    JSON.stringify({ ...document, format: "other" }),
    JSON.stringify({ ...document, epoch: -1 }),
    JSON.stringify({ ...document, step: "3" }),
    JSON.stringify({ ...document, tally: { rows: 1 } }),
    JSON.stringify({ ...document, history: { epoch: [0], history: { loss: "x" } } }),
    JSON.stringify({ ...document, callbacks: [{ values: 1, lengths: [1e300] }] }),
    JSON.stringify({ ...document, callbacks: [{ values: 1, lengths: [5] }, null] }),
    JSON.stringify({ ...document, data: null }),
  ];
  for (const damage of damages) {
    await writeFile(marker, damage);
    await t.throwsAsync(again(), { instanceOf: FormatError, message: /delete (its|the) folder/ }, damage);
  }
  await writeFile(marker, JSON.stringify({ ...document, version: 2 }));
  await t.throwsAsync(again(), { instanceOf: FormatError, message: /version 2/ });
  await rm(marker);
  await t.throwsAsync(again(), { instanceOf: FileError, message: /holds other files/ });
  await writeFile(marker, text);
  t.is((await again()).updates, 4 * 6);
});

test("a checkpoint that was moved aside is found, unless a newer one is in its place", async (t) => {
  const { backup, again } = await interrupted();
  const aside = join(backup, "..", ".backup.sconce-old");
  await rename(backup, aside);
  const model = await again();
  t.is(model.updates, 4 * 6);
  t.true(model.trained.length < 4 * 6);
});

test("a finished run keeps its checkpoint on request, and then trains no more", async (t) => {
  const folder = await temporary();
  const run = async (epochs: number) => {
    const model = new FakeModel();
    const callbacks = [backupAndRestore({ folder: join(folder, "backup"), deleteCheckpoint: false })];
    return { model, history: await fit(model, x, y, { epochs, batchSize: 2, seed: 1, callbacks, ...quiet }) };
  };
  const first = await run(2);
  const again = await run(2);
  t.deepEqual(again.history, first.history);
  t.is(again.model.weights, first.model.weights);
  t.is(again.model.trained.length, 0);
  const more = await run(3);
  t.is(more.model.trained.length, 6);
  t.deepEqual(more.history.epoch, [0, 1, 2]);
});

test("losses that JSON cannot hold survive", async (t) => {
  const folder = await temporary();
  const run = (callback: Callback) =>
    fit(new FakeModel(), x, y, {
      epochs: 2,
      batchSize: 2,
      callbacks: [backupAndRestore({ folder: join(folder, "backup") }), callback],
      ...quiet,
    });
  const odd = {
    onEpochEnd: (_epoch: number, logs: Record<string, number>) =>
      void Object.assign(logs, { a: Number.NaN, b: -Infinity }),
  };
  await t.throwsAsync(run({ ...odd, ...killAt(1, 0) }), { is: killed });
  const { history } = await run(odd);
  t.deepEqual(
    [history.a, history.b],
    [
      [Number.NaN, Number.NaN],
      [-Infinity, -Infinity],
    ],
  );
});
