import { setTimeout as wait } from "node:timers/promises";
import test from "ava";
import { model, StateError } from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";
import { classifier, floats, ids, slowTagger } from "./small-model.ts";

const reason = new Error("enough");

test("an abort ends calls that run and calls that wait with its reason, and no others", async (t) => {
  const { net, batch } = slowTagger();
  await net.build();
  const calls = (signal: AbortSignal) => [
    net.trainOnBatch(batch(), batch(32, 24, 4), { signal }),
    net.testOnBatch(batch(), batch(32, 24, 4), { signal }),
    net.predict(batch(256), { signal }),
    net.evaluate(batch(256), batch(256, 24, 4), { signal }),
    net.fit(batch(256), batch(256, 24, 4), { signal, epochs: 100, verbose: 0 }),
  ];
  for (const delay of [undefined, 0, 15]) {
    const controller = new AbortController();
    // The first run, the others wait behind them.
    const doomed = [...calls(controller.signal)];
    const other = net.predict(batch(2));
    if (delay !== undefined) await wait(delay);
    controller.abort(reason);
    const results = await Promise.allSettled(doomed);
    for (const [index, result] of results.entries()) {
      // Short calls may have ended before.
      if (result.status === "fulfilled" && index < 3) continue;
      t.is(result.status === "rejected" ? result.reason : result.value, reason, `call ${index}, ${delay} ms`);
    }
    t.is(results.at(-1)!.status, "rejected");
    await t.notThrowsAsync(other);
  }
  const before = AbortSignal.abort(reason);
  for (const call of calls(before)) await t.throwsAsync(call, { is: reason });
  await t.notThrowsAsync(net.fit(batch(4), batch(4), { verbose: 0 }), "the model goes on");
});

test("a step that was aborted while it waited changes no weights", async (t) => {
  const { net, batch } = slowTagger();
  const other = classifier();
  await Promise.all([net.build(), other.build()]);
  const before = await other.getWeights();
  const running = net.trainOnBatch(batch(), batch());
  const controller = new AbortController();
  const waiting = other.trainOnBatch(floats(4, 3), ids(4, 4), { signal: controller.signal });
  await wait(5);
  controller.abort(reason);
  const outcome = await waiting.then(
    () => "done",
    (error: unknown) => error,
  );
  await running;
  if (outcome === "done") t.notDeepEqual(await other.getWeights(), before);
  else {
    t.is(outcome, reason);
    t.deepEqual(await other.getWeights(), before);
  }
});

test("calls at once run in their order, each with its own result", async (t) => {
  const [at, after] = [classifier(), classifier()];
  const steps = Array.from({ length: 8 }, (_, index) => [floats(4, 3, index), ids(4, 4, index)] as const);
  await Promise.all([at.build(), after.build()]);
  const losses = await Promise.all(steps.map(([x, y]) => at.trainOnBatch(x, y)));
  for (const [index, [x, y]] of steps.entries()) t.deepEqual(await after.trainOnBatch(x, y), losses[index]!);
  t.deepEqual(await at.getWeights(), await after.getWeights());
  const first = at.fit(...steps[0]!, { verbose: 0 });
  await t.throwsAsync(at.fit(...steps[1]!, { verbose: 0 }), { instanceOf: StateError, message: /trained.*already/ });
  await t.notThrowsAsync(first);
});

test("a model that is disposed of ends its calls, running or waiting, and refuses new ones", async (t) => {
  for (const delay of [undefined, 0, 10]) {
    const { net, batch } = slowTagger();
    await net.build();
    const calls = [
      net.fit(batch(256), batch(256), { epochs: 100, verbose: 0 }),
      net.predict(batch(512)),
      net.trainOnBatch(batch(), batch()),
      net.getWeights(),
      net.testOnBatch(batch(), batch()),
    ];
    if (delay !== undefined) await wait(delay);
    net.dispose();
    net.dispose();
    const results = await Promise.allSettled(calls);
    for (const [index, result] of results.entries()) {
      if (result.status === "rejected") t.true(result.reason instanceof StateError, `${index}: ${result.reason}`);
    }
    t.is(results[0]!.status, "rejected");
    const refused = { instanceOf: StateError };
    await t.throwsAsync(net.predict(batch(1)), refused);
    await t.throwsAsync(net.fit(batch(1), batch(1)), refused);
    await t.throwsAsync(net.build(), refused);
    await t.throwsAsync(net.getWeights(), refused);
    await t.throwsAsync(net.setWeights([]), refused);
    await t.throwsAsync(net.saveWeights("/nowhere/weights"), refused);
    await t.throwsAsync(net.save("/nowhere/model"), refused);
    t.throws(() => net.compile({ loss: "categoricalCrossentropy" }), refused);
    t.throws(() => net.trainer(), refused);
  }
});

test("compiling anew while a step runs lets the step end or rejects it, and training goes on", async (t) => {
  const { net, batch } = slowTagger();
  await net.build();
  const running = net.trainOnBatch(batch(), batch());
  net.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy" });
  await t.notThrowsAsync(running.catch((error: unknown) => t.true(error instanceof StateError, `${error}`)));
  const done = net.trainer().iterations();
  await t.notThrowsAsync(net.trainOnBatch(batch(4), batch(4)));
  t.is(net.trainer().iterations(), done + 1);
});

test("disposing of one model leaves those that share its layers as they are", async (t) => {
  const { translator, encoderInputs, stateH } = textbook();
  const encoder = model({ inputs: encoderInputs, outputs: stateH });
  await translator.build();
  const before = await encoder.getWeights();
  translator.dispose();
  t.deepEqual(await encoder.getWeights(), before);
  encoder.dispose();
  // The call before lets go of the model a moment after it has ended.
  await wait(100);
  const fresh = model({ inputs: encoderInputs, outputs: stateH });
  await t.throwsAsync(fresh.getWeights(), { instanceOf: StateError }, "the weights are gone with the last model");
});

// Alone: the queue is that of the process.
test.serial("thousands of calls that wait are refused before they fill the memory", async (t) => {
  const net = classifier();
  await net.build();
  const x = floats(2, 3);
  const results = await Promise.allSettled(Array.from({ length: 6000 }, () => net.predict(x)));
  const codes = new Set(results.map((result) => (result.status === "rejected" ? result.reason.code : "value")));
  t.true(codes.has("value"));
  codes.delete("value");
  codes.delete("LIMIT");
  t.deepEqual([...codes], []);
  await t.notThrowsAsync(net.predict(x));
});
