import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  adam,
  backupAndRestore,
  bleu,
  Dataset,
  earlyStopping,
  inverseSqrt,
  modelCheckpoint,
  OptionError,
  Seq2Seq,
  type Seq2SeqFitOptions,
  Tokenizer,
} from "../../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-generated-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** Words of other lengths, and the same in Chinese digits. */
const pairs: [string, string][] = Array.from({ length: 120 }, (_, index) => {
  const word = ((index * 2654435761) % 4 ** 5).toString(4);
  return [word, word.replace(/\d/g, (digit) => "零一二三"[Number(digit)]!)];
});
const sources = pairs.map(([source]) => source);
const targets = pairs.map(([, target]) => target);

async function translator(): Promise<Seq2Seq> {
  const source = await Tokenizer.train(sources, { type: "character" });
  const target = await Tokenizer.train(targets, { type: "character" });
  return Seq2Seq.recurrent({ source, target, units: 24, embeddingDim: 12 });
}

const quiet = { verbose: "silent", batchSize: 16, seed: 3 } as const;
const optimizer = () => adam({ learningRate: 0.02 });

test("BLEU of an evaluation is that of what generate gives", async (t) => {
  const own = await translator();
  await own.fit(pairs, { ...quiet, epochs: 6, optimizer: optimizer() });
  const hypotheses = (await own.generate(sources, { maxNewTokens: 4 })).map(({ text }) => text);
  const metrics = ["bleu", "exactMatch", "loss"] as const;
  const found = await own.evaluate(pairs, { metrics, generate: { maxNewTokens: 4 } });
  const { score, signature } = bleu(hypotheses, targets, { tokenize: "zh" });
  t.true(score > 1 && score < 100, `${score}`);
  t.is(found.bleu, score);
  t.deepEqual(found.signatures, { bleu: signature });
  t.is(found.exactMatch, hypotheses.filter((text, index) => text === targets[index]).length / pairs.length);
  const plain = await own.evaluate(pairs, { metrics: ["loss"] });
  t.is(plain.bleu, undefined);
  t.is(plain.loss, found.loss);

  const spaced = await own.evaluate(pairs, { metrics: ["bleu"], bleu: { tokenize: "13a", smoothMethod: "add-k" } });
  t.regex(spaced.signatures!.bleu!, /tok:13a\|smooth:add-k/);
  t.is(spaced.exactMatch, undefined);

  const short = await own.evaluate(pairs, { metrics: ["bleu"], maxLength: 4, generate: { maxNewTokens: 4 } });
  const kept = targets.flatMap((target, index) => (target.length < 4 ? [index] : []));
  const expected = bleu(
    kept.map((index) => hypotheses[index]!),
    kept.map((index) => targets[index]!),
    { tokenize: "zh" },
  );
  t.is(short.bleu, expected.score);
  t.is(short.pairs, kept.length);

  // What can be run through once, and what is read anew.
  const once = await own.evaluate(pairs.values(), { metrics: ["bleu"], generate: { maxNewTokens: 4 } });
  t.is(once.bleu, score);
  const data = Dataset.fromIterable(() => pairs.map(([source, target]) => ({ source, target })));
  const streamed = await own.evaluate(data, { metrics: ["bleu"], generate: { maxNewTokens: 4 } });
  t.is(streamed.bleu, score);
});

test("validation by translations is logged, and callbacks watch it", async (t) => {
  const own = await translator();
  const best = join(folder, "best");
  const checkpoint = modelCheckpoint({ path: best, monitor: "valBleu", saveBestOnly: true });
  const stopping = earlyStopping({ monitor: "valBleu", patience: 1000 });
  const scores: number[] = [];
  const { history } = await own.fit(pairs, {
    ...quiet,
    epochs: 6,
    optimizer: optimizer(),
    validation: pairs.slice(0, 40),
    validationMetrics: ["bleu", "exactMatch"],
    validationGeneration: { every: 2, pairs: 30, maxNewTokens: 6, bleu: { tokenize: "char" } },
    callbacks: [
      { onEpochEnd: (_epoch, logs) => void (logs.valBleu === undefined || scores.push(logs.valBleu)) },
      checkpoint,
      stopping,
    ],
  });
  t.is(history.loss!.length, 6);
  t.is(history.valBleu!.length, 3);
  t.deepEqual(history.valBleu, scores);
  const few = pairs.slice(0, 30);
  const last = await own.evaluate(few, {
    metrics: ["bleu", "exactMatch"],
    bleu: { tokenize: "char" },
    generate: { maxNewTokens: 6 },
  });
  t.is(last.bleu, scores[2]);
  t.is(last.exactMatch, history.valExactMatch![2]);
  t.is(checkpoint.best, Math.max(...scores));
  t.is(stopping.best, Math.max(...scores));
});

test("every metric of texts validates, and less TER is better", async (t) => {
  const own = await translator();
  const stopping = (["valTer", "valChrf++", "valRougeL", "valCmrcF1"] as const).map((monitor) =>
    earlyStopping({ monitor, patience: 1000 }),
  );
  const metrics = ["ter", "chrf", "chrf++", "rougeL", "cmrcF1"] as const;
  const options = { chrf: { charOrder: 2 }, ter: { normalized: true, asianSupport: true } };
  const { history } = await own.fit(pairs, {
    ...quiet,
    epochs: 4,
    optimizer: optimizer(),
    validation: pairs.slice(0, 40),
    validationMetrics: metrics,
    validationGeneration: { maxNewTokens: 6, ...options },
    callbacks: stopping,
  });
  const last = await own.evaluate(pairs.slice(0, 40), { metrics, generate: { maxNewTokens: 6 }, ...options });
  t.deepEqual(
    metrics.map((name) => last[name]),
    [history.valTer, history.valChrf, history["valChrf++"], history.valRougeL, history.valCmrcF1].map((all) => all![3]),
  );
  t.is(stopping[0]!.best, Math.min(...history.valTer!));
  t.is(stopping[1]!.best, Math.max(...history["valChrf++"]!));
  t.is(stopping[2]!.best, Math.max(...history.valRougeL!));
  t.is(stopping[3]!.best, Math.max(...history.valCmrcF1!));
  t.true(new Set(history.valTer).size > 1);
  t.deepEqual(Object.keys(last.signatures!), ["chrf", "chrf++", "ter", "rougeL", "cmrcF1"]);
  t.regex(last.signatures!.rougeL!, /^nrefs:1\|tok:zh\|stem:no\|/);
  t.regex(last.signatures!.ter!, /norm:yes\|punct:yes\|asian:yes/);
});

test("an interrupted run with validation by translations ends as one that was not", async (t) => {
  const run = async (options: Seq2SeqFitOptions) => {
    const own = await translator();
    const history = await own.fit(pairs, {
      ...quiet,
      epochs: 3,
      optimizer: optimizer(),
      validation: pairs.slice(0, 20),
      validationMetrics: ["bleu"],
      ...options,
    });
    return { history, weights: await own.model.getWeights() };
  };
  const whole = await run({ callbacks: [backupAndRestore({ folder: join(folder, "unused") }), { onBatchEnd() {} }] });
  const backup = backupAndRestore({ folder: join(folder, "backup") });
  const controller = new AbortController();
  let batches = 0;
  const stop = {
    onBatchEnd() {
      batches += 1;
      if (batches === 12) controller.abort(new Error("stop"));
    },
  };
  await t.throwsAsync(run({ signal: controller.signal, callbacks: [backup, stop] }), { message: "stop" });
  t.deepEqual(await run({ callbacks: [backup, { onBatchEnd() {} }] }), whole);
});

test("batches by tokens until so many updates end with the same bits, interrupted or not", async (t) => {
  const run = async (options: Seq2SeqFitOptions) => {
    const own = await translator();
    const history = await own.fit(pairs, {
      verbose: "silent",
      seed: 3,
      batchTokens: 40,
      accumulateSteps: 2,
      maxUpdates: 13,
      stepsPerEpoch: 10,
      labelSmoothing: 0.1,
      optimizer: adam({ learningRate: inverseSqrt({ peak: 0.02, warmup: 5 }) }),
      validation: pairs.slice(0, 20),
      ...options,
    });
    return { history, weights: await own.model.getWeights() };
  };
  const whole = await run({ callbacks: [backupAndRestore({ folder: join(folder, "never") }), { onBatchEnd() {} }] });
  // Five updates an epoch, and three in the last.
  t.deepEqual(whole.history.epoch, [0, 1, 2]);
  t.is(whole.history.history.valLoss!.length, 3);
  for (const after of [3, 10, 25, 26]) {
    const backup = backupAndRestore({ folder: join(folder, `tokens-${after}`), saveFreq: 1 });
    const controller = new AbortController();
    let batches = 0;
    const stop = {
      onBatchEnd() {
        batches += 1;
        if (batches === after) controller.abort(new Error("stop"));
      },
    };
    await t.throwsAsync(run({ signal: controller.signal, callbacks: [backup, stop] }), { message: "stop" });
    t.deepEqual(await run({ callbacks: [backup, { onBatchEnd() {} }] }), whole, `${after}`);
  }
});

test("wrong options are refused by name", async (t) => {
  const own = await translator();
  const refused = async (options: object, message: RegExp) => {
    await t.throwsAsync(own.fit(pairs, { ...quiet, ...options }), { instanceOf: OptionError, message });
  };
  const validation = pairs;
  await refused({ validationMetrics: ["bleu"] }, /validationMetrics needs pairs.*give validation/);
  await refused(
    { validation, validationMetrics: ["meteor"] },
    /validationMetrics must be one of bleu, chrf,.*exactMatch/,
  );
  await refused({ validation, validationMetrics: "bleu" }, /validationMetrics must be a list/);
  await refused({ validation, validationGeneration: {} }, /validationGeneration needs validationMetrics/);
  const generation = (validationGeneration: object) => ({
    validation,
    validationMetrics: ["bleu"],
    validationGeneration,
  });
  await refused(generation({ every: 0 }), /validationGeneration: every/);
  await refused(generation({ pairs: 0 }), /validationGeneration: pairs/);
  await refused(generation({ bleu: { tokenize: "x" } }), /validationGeneration: bleu: tokenize/);
  await refused(generation({ signal: 1 }), /unknown option "signal"/);
  await refused(generation({ maxNewTokens: 0 }), /maxNewTokens/);
  await own.fit(pairs, { ...quiet, epochs: 0 });
  const evaluation = async (options: object, message: RegExp) => {
    await t.throwsAsync(own.evaluate(pairs, options), { instanceOf: OptionError, message });
  };
  await evaluation({ metrics: ["blue"] }, /metrics must be one of loss, perplexity, tokenAccuracy, exactMatch, bleu/);
  await evaluation({ metrics: ["bleu"], bleu: { order: 3 } }, /evaluate: bleu: unknown option "order"/);
  await evaluation({ generate: {} }, /generate is an option of metrics of text/);
});
