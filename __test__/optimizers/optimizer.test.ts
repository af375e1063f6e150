import test from "ava";
import { adam, adamw, OptionError, rmsprop, sgd } from "../../src/index.ts";
import { restoreOptimizer } from "../../src/optimizers/resolve.ts";

test("the defaults are those of Keras", (t) => {
  const common = { weightDecay: 0, sparse: false };
  t.deepEqual(sgd().document, { ...common, type: "sgd", momentum: 0, nesterov: false });
  t.deepEqual(rmsprop().document, {
    ...common,
    type: "rmsprop",
    rho: 0.9,
    momentum: 0,
    epsilon: 1e-7,
    centered: false,
  });
  const betas = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, amsgrad: false };
  t.deepEqual(adam().document, { ...common, ...betas, type: "adam" });
  t.deepEqual(adamw().document, { ...common, ...betas, type: "adamw", weightDecay: 0.004 });
  t.deepEqual(
    [sgd(), rmsprop(), adam(), adamw()].map((optimizer) => optimizer.at(0)),
    [0.01, 0.001, 0.001, 0.001],
  );
});

test("only one kind of clipping may be set", (t) => {
  t.is(adam({ globalClipnorm: 1 }).document.globalClipnorm, 1);
  t.throws(() => adam({ clipnorm: 1, clipvalue: 1 }), {
    instanceOf: OptionError,
    message: /only one of clipnorm, clipvalue, globalClipnorm may be set, got clipnorm, clipvalue/,
  });
  t.throws(() => adam({ clipvalue: 0 }), { instanceOf: OptionError });
});

test("options that are unknown or out of range are refused", (t) => {
  for (const make of [
    () => sgd({ momentum: 1.5 }),
    () => sgd({ nesterov: 1 as never }),
    () => sgd({ rho: 0.9 } as never),
    () => rmsprop({ epsilon: -1 }),
    () => adam({ beta1: 1 }),
    () => adam({ learningRate: Number.NaN }),
    () => adam({ learningRate: -1 }),
    () => adam({ learningRate: "fast" as never }),
    () => adamw({ weightDecay: -0.1 }),
  ]) {
    t.throws(make, { instanceOf: OptionError }, String(make));
  }
});

test("a function of the step is a schedule, and must give finite numbers", (t) => {
  const optimizer = sgd({ learningRate: (step) => 1 / step });
  t.is(optimizer.at(4), 0.25);
  t.throws(() => optimizer.at(0), { instanceOf: OptionError, message: /step 0, got Infinity/ });
});

test("a document gives the optimiser again", (t) => {
  const optimizer = rmsprop({ learningRate: 0.01, rho: 0.8, clipnorm: 2, sparse: true });
  const again = restoreOptimizer({ ...optimizer.document, learningRate: optimizer.rateDocument });
  t.deepEqual(again.document, optimizer.document);
  t.is(again.learningRate, 0.01);
  for (const wrong of [
    null,
    {},
    { type: "sgd" },
    { type: "toString", learningRate: 1 },
    { type: "sgd", learningRate: 1, x: 1 },
  ]) {
    t.throws(() => restoreOptimizer(wrong), { instanceOf: OptionError });
  }
});
