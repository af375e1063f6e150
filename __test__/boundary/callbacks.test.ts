import test from "ava";
import { type Callback, earlyStopping, OptionError, readParallelText, Tokenizer } from "../../src/index.ts";
import { classifier, floats, ids } from "./small-model.ts";

const hooks = [
  "onTrainBegin",
  "onEpochBegin",
  "onBatchBegin",
  "onBatchEnd",
  "onValidationBegin",
  "onValidationEnd",
  "onEpochEnd",
  "onTrainEnd",
] as const;
const own = new Error("mine");
const [x, y] = [floats(8, 3), ids(8, 4)];
const validationData = [x, y] as const;

const ways: Record<string, () => void | Promise<void>> = {
  throws: () => {
    throw own;
  },
  rejects: () => Promise.reject(own),
  "rejects later": async () => {
    await new Promise((resolve) => setImmediate(resolve));
    throw own;
  },
};

test("what a callback throws rejects that call with just that, and the model goes on", async (t) => {
  const net = classifier();
  for (const hook of hooks) {
    for (const [way, act] of Object.entries(ways)) {
      const callbacks = [{ [hook]: act } as Callback];
      const running = net.fit(x, y, { batchSize: 4, validationData, verbose: 0, callbacks });
      const other = classifier().fit(x, y, { verbose: 0 });
      await t.throwsAsync(running, { is: own }, `${hook} ${way}`);
      await t.notThrowsAsync(other);
    }
  }
  await t.notThrowsAsync(net.fit(x, y, { verbose: 0 }));
});

test("what is thrown may be no error", async (t) => {
  const net = classifier();
  for (const thrown of [undefined, null, "text", 7]) {
    const callback: Callback = {
      onBatchEnd() {
        throw thrown;
      },
    };
    const outcome = await net.fit(x, y, { verbose: 0, callbacks: [callback] }).then(
      () => "done",
      (error: unknown) => ({ error }),
    );
    t.deepEqual(outcome, { error: thrown });
  }
});

test("what onProgress throws rejects fit, evaluate and predict", async (t) => {
  const net = classifier();
  const onProgress = () => {
    throw own;
  };
  await t.throwsAsync(net.fit(x, y, { verbose: 0, onProgress }), { is: own });
  await t.throwsAsync(net.evaluate(x, y, { onProgress }), { is: own });
  await t.throwsAsync(net.predict(x, { onProgress }), { is: own });
  await t.notThrowsAsync(net.predict(x));
});

test("data that throw while they are read reject that call", async (t) => {
  const net = classifier();
  const batch = { inputs: [x], targets: [y] };
  for (const after of [0, 1, 3]) {
    const failing = async function* () {
      for (let index = 0; index < after; index++) yield batch;
      throw own;
    };
    await t.throwsAsync(net.fit(failing, { verbose: 0 }), { is: own }, `fit after ${after}`);
    await t.throwsAsync(net.evaluate(failing), { is: own });
    await t.throwsAsync(net.predict(failing), { is: own });
  }
  await t.notThrowsAsync(net.fit([batch], { verbose: 0 }));
});

test("callbacks may use the model, dispose of it, or train another one", async (t) => {
  const net = classifier();
  const inner = classifier();
  await net.fit(x, y, {
    verbose: 0,
    batchSize: 4,
    callbacks: [
      {
        async onBatchEnd() {
          await net.predict(x);
          await net.evaluate(x, y);
          await inner.fit(x, y, { verbose: 0 });
        },
      },
    ],
  });
  const disposing = net.fit(x, y, { verbose: 0, batchSize: 4, callbacks: [{ onBatchEnd: () => net.dispose() }] });
  await t.throwsAsync(disposing, { code: "STATE" });
});

test("options out of their range are refused, naming the option", async (t) => {
  const net = classifier();
  const bad = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "3", null, {}, 1n];
  for (const name of ["batchSize", "epochs", "stepsPerEpoch", "accumulateSteps", "seed", "validationFreq"]) {
    for (const value of bad) {
      const running = net.fit(x, y, { verbose: 0, [name]: value });
      await t.throwsAsync(running, { instanceOf: OptionError, message: new RegExp(name) }, `${name} ${String(value)}`);
    }
  }
  for (const value of [0, 1, -0.5, Number.NaN, "half"]) {
    const running = net.fit(x, y, { verbose: 0, validationSplit: value as number });
    await t.throwsAsync(running, { instanceOf: OptionError, message: /validationSplit/ }, `${value}`);
  }
  for (const callbacks of [{}, [null], [7], [{}], [{ onEpochEnd: "x" }], "none"]) {
    await t.throwsAsync(net.fit(x, y, { verbose: 0, callbacks: callbacks as never }), { instanceOf: OptionError });
  }
  for (const [name, value] of Object.entries({ signal: {}, onProgress: 1, verbose: "loud", epoch: 1, shuffle: 1 })) {
    await t.throwsAsync(net.fit(x, y, { verbose: 0, [name]: value }), { instanceOf: OptionError }, name);
  }
  t.throws(() => earlyStopping({ patience: -1 }), { instanceOf: OptionError });
});

test("a signal that is none is refused by every call", async (t) => {
  const net = classifier();
  const signal = {} as AbortSignal;
  const expected = { instanceOf: OptionError, message: /signal must be an AbortSignal/ };
  await t.throwsAsync(net.build({ signal }), expected);
  await t.throwsAsync(net.predict(x, { signal }), expected);
  await t.throwsAsync(net.evaluate(x, y, { signal }), expected);
  await t.throwsAsync(net.trainOnBatch(x, y, { signal }), expected);
  await t.throwsAsync(Tokenizer.train(["a"], { type: "word", signal }), expected);
  await t.throwsAsync(readParallelText("none", { signal }), expected);
});
