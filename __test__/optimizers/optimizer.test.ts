import test from "ava";
import { adam, adamw, OptionError, optimizers, rmsprop, sgd } from "../../src/index.ts";
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

test("the defaults of the others are those of Keras", (t) => {
  const { adadelta, adafactor, adagrad, adamax, ftrl, lamb, lion, nadam } = optimizers;
  const common = { weightDecay: 0, sparse: false };
  const betas = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
  const expected = {
    adagrad: { initialAccumulatorValue: 0.1, epsilon: 1e-7 },
    adadelta: { rho: 0.95, epsilon: 1e-7 },
    adamax: betas,
    nadam: betas,
    lamb: betas,
    lion: { beta1: 0.9, beta2: 0.99 },
    adafactor: { beta2Decay: -0.8, epsilon1: 1e-30, epsilon2: 1e-3, clipThreshold: 1, relativeStep: true },
    ftrl: {
      learningRatePower: -0.5,
      initialAccumulatorValue: 0.1,
      l1RegularizationStrength: 0,
      l2RegularizationStrength: 0,
      l2ShrinkageRegularizationStrength: 0,
      beta: 0,
    },
  };
  for (const make of [adadelta, adafactor, adagrad, adamax, ftrl, lamb, lion, nadam]) {
    const optimizer = make();
    const type = optimizer.type as keyof typeof expected;
    t.deepEqual(optimizer.document, { ...common, ...expected[type], type });
    t.is(optimizer.learningRate, 0.001, type);
    t.false(optimizer.useEma);
  }
});

test("averages and accumulation are in the document only where they are used", (t) => {
  t.is(sgd({ emaMomentum: 0.5, emaOverwriteFrequency: 3 }).document.emaMomentum, undefined);
  t.like(sgd({ useEma: true }).document, { useEma: true, emaMomentum: 0.99, emaOverwriteFrequency: undefined });
  t.like(sgd({ useEma: true, emaOverwriteFrequency: 3 }).document, { emaOverwriteFrequency: 3 });
  t.true(sgd({ useEma: true }).useEma);
  t.is(
    sgd({ gradientAccumulationSteps: null, emaOverwriteFrequency: null }).document.gradientAccumulationSteps,
    undefined,
  );
  t.is(sgd({ gradientAccumulationSteps: 2 }).document.gradientAccumulationSteps, 2);
});

test("weights are left out of the decay by name, also in a restored optimiser", (t) => {
  const optimizer = adamw({ useEma: true, emaMomentum: 0.5, gradientAccumulationSteps: 3 });
  optimizer.excludeFromWeightDecay({ varNames: ["bias"] });
  optimizer.excludeFromWeightDecay({ varNames: ["bias"], varList: ["dense/kernel"] });
  t.deepEqual(optimizer.document.excludeFromWeightDecay, { varList: ["dense/kernel"], varNames: ["bias"] });
  const again = restoreOptimizer({ ...optimizer.document, learningRate: optimizer.rateDocument });
  t.deepEqual(again.document, optimizer.document);
  for (const wrong of [{ varNames: [""] }, { varNames: "bias" }, { varList: [1] }, { names: ["bias"] }, null]) {
    t.throws(
      () => optimizer.excludeFromWeightDecay(wrong as never),
      { instanceOf: OptionError },
      JSON.stringify(wrong),
    );
  }
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
    () => sgd({ useEma: 1 as never }),
    () => sgd({ emaMomentum: 1.5 }),
    () => sgd({ emaOverwriteFrequency: 0 }),
    () => sgd({ gradientAccumulationSteps: 1 }),
    () => sgd({ gradientAccumulationSteps: 2.5 }),
    () => optimizers.nadam({ beta2: 1 }),
    () => optimizers.lamb({ amsgrad: true } as never),
    () => optimizers.adamax({ beta1: 1 }),
    () => optimizers.lion({ beta1: 0 }),
    () => optimizers.adagrad({ initialAccumulatorValue: -1 }),
    () => optimizers.adadelta({ rho: 1.1 }),
    () => optimizers.adafactor({ beta2Decay: 0.5 }),
    () => optimizers.adafactor({ clipThreshold: 0 }),
    () => optimizers.ftrl({ learningRatePower: 0.1 }),
    () => optimizers.ftrl({ l1RegularizationStrength: -1 }),
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
