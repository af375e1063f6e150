import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FileError, OptionError } from "../../src/errors.ts";
import { filledPath } from "../../src/training/callbacks/path-template.ts";
import {
  type Callback,
  csvLogger,
  type EarlyStopping,
  type EarlyStoppingOptions,
  earlyStopping,
  fit,
  learningRateSchedule,
  modelCheckpoint,
  type ReduceLrOptions,
  reduceLrOnPlateau,
} from "../../src/training/index.ts";
import { FakeModel, pairs } from "./fake-model.ts";

const quiet = { verbose: "silent" } as const;
const { x, y } = pairs(2);

/** Trains one step an epoch, whose losses are given. */
async function epochs(losses: number[], callbacks: Callback[], initialEpoch = 0) {
  const model = new FakeModel({ loss: (step) => losses[step]! });
  const history = await fit(model, x, y, {
    epochs: initialEpoch + losses.length,
    initialEpoch,
    callbacks,
    ...quiet,
  });
  return { model, history };
}

interface Golden {
  stops: { losses: number[]; options: EarlyStoppingOptions; epochs: number; bestEpoch: number; weightsOf: number }[];
  reductions: { losses: number[]; options: ReduceLrOptions; rates: number[] }[];
}

const golden: Golden = JSON.parse(readFileSync(new URL("../golden/keras/callbacks.json", import.meta.url), "utf8"));

for (const { losses, options, epochs: trained, bestEpoch, weightsOf } of golden.stops) {
  test(`early stopping on ${losses} with ${JSON.stringify(options)} equals Keras`, async (t) => {
    const callback = earlyStopping({ monitor: "loss", restoreBestWeights: true, ...options });
    const weights: number[] = [];
    const keep: Callback = { onEpochEnd: (_epoch, _logs, model) => void weights.push((model as FakeModel).weights) };
    const { model, history } = await epochs(losses, [keep, callback]);
    t.is(history.epoch.length, trained);
    t.is(callback.bestEpoch, bestEpoch);
    t.is(model.weights, weights[weightsOf]!);
  });
}

test("early stopping watches validation values, also by Keras' names, and begins anew in another run", async (t) => {
  const callback = earlyStopping({ monitor: "val_loss" });
  for (let run = 0; run < 2; run++) {
    const model = new FakeModel({ testLoss: (step) => [2, 1, 3, 0][step]! });
    const { history } = await fit(model, x, y, { epochs: 4, validationData: [x, y], callbacks: [callback], ...quiet });
    t.deepEqual(history.valLoss, [2, 1, 3]);
    t.is(callback.stoppedEpoch, 2);
    t.is((callback as EarlyStopping).best, 1);
  }
});

test("early stopping waits where an epoch is not validated", async (t) => {
  const model = new FakeModel({ testLoss: (step) => [1, 2][step]! });
  const callbacks = [earlyStopping({ patience: 1 })];
  const options = { epochs: 6, validationFreq: 2, validationData: [x, y] as const, callbacks, ...quiet };
  const { epoch, history } = await fit(model, x, y, options);
  t.is(epoch.length, 4);
  t.deepEqual(history.valLoss, [1, 2]);
});

test("a value that is not logged is an error", async (t) => {
  for (const callback of [
    earlyStopping(),
    reduceLrOnPlateau({ monitor: "valAccuracy" }),
    modelCheckpoint({ path: "nowhere", saveBestOnly: true }),
  ]) {
    await t.throwsAsync(fit(new FakeModel(), x, y, { callbacks: [callback], ...quiet }), {
      instanceOf: OptionError,
      message: /"val(Loss|Accuracy)" is not logged; there are loss, accuracy/,
    });
  }
  // A callback before it may log it.
  const logs = {
    onEpochEnd: (_epoch: number, values: Record<string, number>) => void Object.assign(values, { bleu: 1 }),
  };
  await fit(new FakeModel(), x, y, { callbacks: [logs, earlyStopping({ monitor: "bleu", mode: "max" })], ...quiet });
});

for (const { losses, options, rates } of golden.reductions) {
  test(`reducing the learning rate on ${losses} with ${JSON.stringify(options)} equals Keras`, async (t) => {
    const { history } = await epochs(losses, [reduceLrOnPlateau({ monitor: "loss", ...options })]);
    t.deepEqual(history.history.learningRate, rates);
  });
}

test("a learning rate schedule is asked before each epoch, and its steps use the rate", async (t) => {
  const { model, history } = await epochs([1, 1, 1], [learningRateSchedule((epoch, rate) => rate / (epoch + 1))], 1);
  t.deepEqual(
    model.trained.map(({ learningRate }) => learningRate),
    [0.005, 0.005 / 3, 0.005 / 3 / 4],
  );
  t.deepEqual(history.history.learningRate, [0.005, 0.005 / 3, 0.005 / 3 / 4]);
  t.deepEqual(history.epoch, [1, 2, 3]);
  await t.throwsAsync(epochs([1], [learningRateSchedule(() => Number.NaN)]), { instanceOf: OptionError });
});

test("checkpoints are written after each epoch, each improvement, or some steps", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-callbacks-"));
  const path = (name: string) => join(folder, name);
  const losses = [3, 2, 2.5, 1];
  const always = await epochs(losses, [modelCheckpoint({ path: path("m-{epoch:02d}-{loss:.1f}") })]);
  t.deepEqual(always.model.saves, [path("m-01-3.0"), path("m-02-2.0"), path("m-03-2.5"), path("m-04-1.0")]);
  const options = {
    path: path("deep/{epoch}.safetensors"),
    monitor: "loss",
    saveBestOnly: true,
    saveWeightsOnly: true,
  };
  const best = await epochs(losses, [modelCheckpoint(options)]);
  t.deepEqual(
    best.model.saves,
    [1, 2, 4].map((epoch) => path(`deep/${epoch}.safetensors`)),
  );
  const threshold = await epochs(losses, [modelCheckpoint({ ...options, initialValueThreshold: 2.2 })]);
  t.deepEqual(
    threshold.model.saves,
    [2, 4].map((epoch) => path(`deep/${epoch}.safetensors`)),
  );
  const often = new FakeModel();
  const data = pairs(5);
  const callbacks = [modelCheckpoint({ path: "{epoch}-{batch}", saveFreq: 3 })];
  await fit(often, data.x, data.y, { batchSize: 1, epochs: 2, callbacks, ...quiet });
  t.deepEqual(often.saves, ["1-3", "2-1", "2-4"]);
  await writeFile(path("file"), "");
  await t.throwsAsync(epochs([1], [modelCheckpoint({ ...options, path: path("file/x") })]), { instanceOf: FileError });
  await rm(folder, { recursive: true });
});

test("only the last checkpoints are kept, also those of a run before", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-callbacks-"));
  const path = (name: string) => join(folder, name);
  const losses = [3, 2, 2.5, 1];
  const kept = async () => (await readdir(folder)).sort();
  const weights = { path: path("{epoch}.safetensors"), saveWeightsOnly: true, maxToKeep: 2 };
  await writeFile(path("other"), "");
  await epochs(losses, [modelCheckpoint(weights)]);
  t.deepEqual(await kept(), ["3.safetensors", "4.safetensors", "other"]);

  const first = modelCheckpoint(weights);
  await epochs(losses.slice(0, 2), [first]);
  const second = modelCheckpoint({ ...weights, path: path("later-{epoch}") });
  second.setState(structuredClone(first.getState()));
  await epochs([1], [second]);
  t.deepEqual(await kept(), ["2.safetensors", "3.safetensors", "4.safetensors", "later-1", "other"]);

  // A translator is saved whole, in one place again and again.
  const saves: string[] = [];
  const translator = {
    async save(place: string) {
      saves.push(place);
      await mkdir(place, { recursive: true });
    },
  };
  await epochs(losses, [modelCheckpoint({ path: path("m{epoch}"), maxToKeep: 1, translator })]);
  t.deepEqual(
    saves,
    [1, 2, 3, 4].map((epoch) => path(`m${epoch}`)),
  );
  t.deepEqual(
    (await kept()).filter((name) => name.startsWith("m")),
    ["m4"],
  );
  await epochs(losses, [modelCheckpoint({ path: path("same"), maxToKeep: 1, translator })]);
  t.true((await kept()).includes("same"));
  await rm(folder, { recursive: true });
});

test("paths are filled as in Python", (t) => {
  const values = { epoch: 7, valLoss: 1.23456 };
  t.is(
    filledPath("p", "a/{epoch}/{epoch:03d}/{val_loss:.2f}/{valLoss:8.1f}/{valLoss:.1e}", values),
    "a/7/007/1.23/     1.2/1.2e+0",
  );
  t.throws(() => filledPath("p", "{loss}", values), { instanceOf: OptionError, message: /\{loss\}.*epoch, valLoss/ });
  t.throws(() => filledPath("p", "{epoch:>4}", values), { instanceOf: OptionError });
});

test("a log file is replaced or continued", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sconce-callbacks-"));
  const path = join(folder, "deep", "log.csv");
  await epochs([9], [csvLogger({ path })]);
  await epochs([3, 2], [csvLogger({ path })]);
  const first = "epoch,accuracy,loss\n0,1,3\n1,1,2\n";
  t.is(await readFile(path, "utf8"), first);
  await epochs([5], [csvLogger({ path, append: true })], 2);
  t.is(await readFile(path, "utf8"), `${first}2,1,5\n`);
  await epochs([5], [csvLogger({ path, separator: ";" })]);
  t.is(await readFile(path, "utf8"), "epoch;accuracy;loss\n0;1;5\n");
  await t.throwsAsync(epochs([1], [csvLogger({ path: join(path, "x") })]), { instanceOf: FileError });
  await rm(folder, { recursive: true });
});

test("options of callbacks are checked", (t) => {
  const wrong = [
    () => earlyStopping({ patience: -1 }),
    () => earlyStopping({ monitor: "quality" }),
    () => earlyStopping({ mode: "up" as never }),
    () => earlyStopping({ restore: true } as never),
    () => reduceLrOnPlateau({ factor: 1 }),
    () => modelCheckpoint({ path: "" }),
    () => modelCheckpoint({ path: "x", saveFreq: 0 }),
    () => modelCheckpoint({ path: "x", maxToKeep: 0 }),
    () => modelCheckpoint({ path: "x", translator: {} as never }),
    () => modelCheckpoint({ path: "x", saveWeightsOnly: true, translator: { save: async () => undefined } }),
    () => csvLogger({ path: "x", separator: "" }),
    () => learningRateSchedule(0.1 as never),
  ];
  for (const make of wrong) t.throws(make, { instanceOf: OptionError }, make.toString());
});

test("hooks run in order, wait for promises, and see averages so far", async (t) => {
  const seen: unknown[] = [];
  const data = pairs(4);
  const model = new FakeModel({ loss: (step) => step + 1, testLoss: () => 7 });
  const note =
    (name: string) =>
    async (...args: unknown[]) => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push([name, ...args.filter((arg) => arg !== model)]);
    };
  const callback: Callback = {
    onTrainBegin: note("trainBegin"),
    onTrainEnd: note("trainEnd"),
    onEpochBegin: note("epochBegin"),
    onEpochEnd: note("epochEnd"),
    onBatchBegin: note("batchBegin"),
    onBatchEnd: note("batchEnd"),
    onValidationBegin: note("validationBegin"),
    onValidationEnd: note("validationEnd"),
  };
  const options = { batchSize: 2, validationData: { x: data.x, y: data.y }, callbacks: [callback], ...quiet };
  await fit(model, data.x, data.y, options);
  const last = { loss: 1.5, accuracy: 1, valLoss: 7, valAccuracy: 1 };
  t.deepEqual(seen, [
    ["trainBegin", {}, { epochs: 1, steps: 2, names: ["loss", "accuracy", "valLoss", "valAccuracy"] }],
    ["epochBegin", 0, {}],
    ["batchBegin", 0, {}],
    ["batchEnd", 0, { loss: 1, accuracy: 1 }],
    ["batchBegin", 1, {}],
    ["batchEnd", 1, { loss: 1.5, accuracy: 1 }],
    ["validationBegin", {}],
    ["validationEnd", { loss: 7, accuracy: 1 }],
    ["epochEnd", 0, last],
    ["trainEnd", last],
  ]);
});

test("what a hook throws rejects that call only", async (t) => {
  const failure = new Error("mine");
  const hooks = [
    "onTrainBegin",
    "onEpochBegin",
    "onBatchBegin",
    "onBatchEnd",
    "onValidationBegin",
    "onValidationEnd",
    "onEpochEnd",
    "onTrainEnd",
  ];
  for (const hook of hooks) {
    for (const later of [false, true]) {
      const throwing = () => {
        if (later) return Promise.reject(failure);
        throw failure;
      };
      const model = new FakeModel();
      const options = { callbacks: [{ [hook]: throwing }], validationData: [x, y] as const, ...quiet };
      await t.throwsAsync(fit(model, x, y, options), { is: failure }, hook);
      await fit(model, x, y, quiet);
    }
  }
  await t.throwsAsync(
    fit(new FakeModel(), x, y, {
      onProgress() {
        throw failure;
      },
      ...quiet,
    }),
    { is: failure },
  );
});

test("training stops when a callback says so, also within an epoch", async (t) => {
  const data = pairs(5);
  const model = new FakeModel();
  const stop: Callback = {
    onBatchEnd(step, _logs, own) {
      if (step === 2) own.stopTraining = true;
    },
  };
  const { epoch } = await fit(model, data.x, data.y, { batchSize: 1, epochs: 3, callbacks: [stop], ...quiet });
  t.deepEqual(epoch, [0]);
  t.is(model.trained.length, 3);
  await fit(model, data.x, data.y, { batchSize: 1, ...quiet });
  t.is(model.trained.length, 8);
});
