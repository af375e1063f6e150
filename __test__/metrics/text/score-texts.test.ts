import test from "ava";
import { philox } from "../../../src/data/random.ts";
import {
  bleu,
  chrf,
  compareStatistics,
  corpusPerplexity,
  DataError,
  OptionError,
  pairedBootstrap,
  rouge,
  scoreSystems,
  scoreTexts,
  sentenceTer,
  squad,
  ter,
  textMetricNames,
} from "../../../src/index.ts";
import { compare } from "../../../src/metrics/text/bootstrap.ts";
import { textMetric } from "../../../src/metrics/text/metrics.ts";
import { checkedTexts } from "../../../src/metrics/text/references.ts";
import { sumsOfSamples } from "../../../src/metrics/text/sample-sums.ts";
import { statistics } from "../../../src/metrics/text/statistics.ts";
import { near, sumsOver } from "../../helpers/metrics.ts";

const references = ["the dog bit the man", "it was not unexpected", "我们在北京。", ""];
const hypotheses = ["the dog bit a man", "unexpected", "我们在南京。", "more"];

test("all metrics together give what each gives alone", async (t) => {
  const scores = await scoreTexts(hypotheses, references, {
    metrics: textMetricNames,
    bleu: { tokenize: "zh" },
    rouge: { tokenizer: "zh" },
  });
  t.deepEqual(Object.keys(scores), [...textMetricNames]);
  const { score, signature, precisions } = bleu(hypotheses, references, { tokenize: "zh" });
  t.like(scores.bleu, { score, signature, precisions });
  t.like(scores.chrf, chrf(hypotheses, references));
  t.like(scores["chrf++"], chrf(hypotheses, references, { wordOrder: 2 }));
  t.like(scores.ter, ter(hypotheses, references));
  const { scores: byType } = rouge(hypotheses, references, { tokenizer: "zh" });
  for (const type of ["rouge1", "rouge2", "rougeL", "rougeLsum"] as const) {
    t.like(scores[type], { ...byType[type], score: byType[type]!.fmeasure });
  }
  t.true(byType.rouge1!.recall > 0.4);
  const questions = references.map((text, index) => ({ id: `${index}`, answers: [text] }));
  const { exactMatch, f1 } = squad(Object.fromEntries(hypotheses.entries()), questions);
  t.deepEqual([scores.squadExactMatch?.score, scores.squadF1?.score], [exactMatch, f1]);
  t.regex(scores.cmrcF1!.signature, /^nrefs:1\|rules:cmrc-2018\|version:/);
});

test("a bootstrap gives ranges that hold the score, the same for the same seed", async (t) => {
  const many = Array.from({ length: 60 }, (_, index) => `sentence ${index} of ${"many ".repeat(index % 5)}words`);
  const other = many.map((text, index) => (index % 3 === 0 ? text : text.replace("many", "few")));
  const options = { metrics: ["bleu", "ter", "rougeL"], bootstrap: { samples: 100 } } as const;
  const scores = await scoreTexts(other, many, options);
  for (const found of Object.values(scores)) {
    const [lower, upper] = found.interval!;
    t.true(lower < found.score && found.score < upper && near(found.ci!, (upper - lower) / 2));
    t.true(lower < found.mean! && found.mean! < upper);
    t.regex(found.signature, /\|bs:100\|seed:12345\|/);
  }
  t.deepEqual(await scoreTexts(other, many, options), scores);
  const seeded = await scoreTexts(other, many, { ...options, bootstrap: { samples: 100, seed: 1 } });
  t.notDeepEqual(seeded.bleu!.interval, scores.bleu!.interval);
});

test("systems together have what each has alone, and comparisons", async (t) => {
  const better = references.map((text, index) => (index === 1 ? hypotheses[1]! : text));
  const streams = [references, references.map((text, index) => (index === 2 ? null : `${text} more`))];
  for (const [expected, name] of [
    [references, "one reference"],
    [streams, "two references"],
  ] as const) {
    const options = { metrics: textMetricNames, bootstrap: { samples: 10, seed: 4 } };
    const systems = [hypotheses, better, hypotheses.toReversed()];
    const all = await scoreSystems(systems, expected, { ...options, paired: { samples: 20 } });
    t.is(all.length, 3);
    t.is(all[0]!.comparisons, undefined);
    for (const [index, system] of systems.entries()) {
      t.deepEqual(all[index]!.scores, await scoreTexts(system, expected, options), `${name}, system ${index}`);
      if (index === 0) continue;
      for (const metric of textMetricNames) {
        const { signature: _, ...alone } = pairedBootstrap(hypotheses, system, expected, { metric, samples: 20 });
        t.deepEqual(all[index]!.comparisons![metric], alone, `${name}, ${metric} of system ${index}`);
      }
    }
  }
  const [first, second] = await scoreSystems([hypotheses, better], references, { metrics: ["ter"] });
  t.deepEqual(Object.keys(first!), ["scores"]);
  t.deepEqual(Object.keys(second!), ["scores"]);
  const refused = (systems: unknown, message: RegExp) =>
    t.throwsAsync(scoreSystems(systems as never, references), { instanceOf: DataError, message });
  await refused([], /at least one list/);
  await refused("a", /at least one list/);
  await refused([hypotheses, ["a"]], /systems\[1\]: expected 1 texts in references/);
  await refused([hypotheses, 3], /systems\[1\]: hypotheses must be a list/);
  await t.throwsAsync(scoreSystems([hypotheses], references, { paired: { sample: 1 } } as never), {
    instanceOf: OptionError,
    message: /paired: unknown option "sample"/,
  });
});

test("what is drawn follows from the seed, at once and on the compute threads", async (t) => {
  const many = Array.from({ length: 61 }, (_, index) => `sentence ${index} of ${"many ".repeat(index % 5)}words`);
  const system = many.map((text, index) => (index % 3 === 0 ? text : text.replace("many", "few")));
  const baseline = many.map((text, index) => (index % 2 === 0 ? text : text.replace("words", "letters")));
  const [seed, samples] = [2 ** 40 + 7, 50];
  const drawn = Array.from({ length: samples }, (_, sample) =>
    many.map((_, index) => {
      const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
      const words = philox([index - (index % 4), sample, 0, 0x626f6f74], key);
      return Math.floor((words[index % 4]! / 2 ** 32) * many.length);
    }),
  );
  for (const name of ["bleu", "chrf", "ter", "squadF1"] as const) {
    const metric = textMetric("test", name, {});
    const [one, two] = statistics(
      metric,
      [baseline, system].map((texts) => checkedTexts("test", texts, many)),
    );
    const expected = compare(one!, two!, metric.score, {
      baseline: sumsOver(one!, drawn),
      system: sumsOver(two!, drawn),
    });
    const { signature: _, ...found } = pairedBootstrap(baseline, system, many, { metric: name, samples, seed });
    t.deepEqual(found, expected, name);
    const [, later] = await scoreSystems([baseline, system], many, { metrics: [name], paired: { samples, seed } });
    t.deepEqual(later!.comparisons![name], expected, name);
  }
  // More than are summed up in one call.
  const table = { width: 2, rows: Float64Array.from({ length: 14 }, (_, index) => index * index) };
  const own = Array.from({ length: 4100 }, (_, sample) =>
    Array.from({ length: 7 }, (_, index) => {
      const words = philox([index - (index % 4), sample, 0, 0x626f6f74], [3, 0]);
      return Math.floor((words[index % 4]! / 2 ** 32) * 7);
    }),
  );
  t.deepEqual([...sumsOfSamples(table, { samples: 4100, seed: 3 })], sumsOver(table, own));
});

test("a bootstrap beside the event loop ends with its signal", async (t) => {
  const texts = Array.from({ length: 500 }, (_, index) => `sentence ${index} of many words`);
  for (const name of ["bleu", "squadF1"] as const) {
    const controller = new AbortController();
    const bootstrap = { samples: 10 ** 7 };
    const running = scoreTexts(texts, texts, { metrics: [name], bootstrap, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("stop")), 30);
    await t.throwsAsync(running, { message: "stop" });
  }
});

test("every metric compares systems", (t) => {
  const better = references.map((text, index) => (index === 1 ? hypotheses[1]! : text));
  for (const metric of textMetricNames) {
    const { difference, baseline, system, signature } = pairedBootstrap(hypotheses, better, references, {
      metric,
      samples: 20,
    });
    t.true(near(difference, system.score - baseline.score), metric);
    t.is(Math.sign(difference), metric === "ter" ? -1 : 1, metric);
    t.regex(signature, /bs:20\|seed:12345/);
  }
  const alone = { metric: "chrf", tokenize: "char" } as const;
  t.throws(() => pairedBootstrap(hypotheses, better, references, alone), { message: /unknown option "tokenize"/ });
});

test("statistics of one's own are compared", (t) => {
  const baseline = Array.from({ length: 50 }, (_, index) => [index % 4 === 0 ? 1 : 0]);
  const system = baseline.map(([right], index) => [index % 2 === 0 ? 1 : right!]);
  const accuracy = ([right]: number[], count: number) => right! / count;
  const found = compareStatistics(baseline, system, accuracy, { samples: 200, seed: 3 });
  t.true(near(found.baseline.score, 0.26) && near(found.system.score, 0.5) && near(found.difference, 0.24));
  t.true(found.pValue < 0.05 && found.interval[0] > 0);
  const refused = (call: () => unknown, message: RegExp) => t.throws(call, { instanceOf: DataError, message });
  refused(() => compareStatistics([], [], accuracy), /there are no statistics/);
  refused(() => compareStatistics([[1]], [[1], [2]], accuracy), /same segments, got 1 and 2/);
  refused(() => compareStatistics([[1]], [[1, 2]], accuracy), /system\[0\] must be a list of 1 finite numbers/);
  refused(() => compareStatistics([[Number.NaN]], [[1]], accuracy), /baseline\[0\]/);
});

test("wrong texts and options are refused, and signals obeyed", async (t) => {
  const options = (given: object, message: RegExp) =>
    t.throwsAsync(scoreTexts(hypotheses, references, given as never), { instanceOf: OptionError, message });
  await options({ metrics: [] }, /at least one name/);
  await options({ metrics: ["blue"] }, /metrics must be one of bleu, chrf/);
  await options({ bootstrap: { samples: 0 } }, /bootstrap: samples/);
  await options({ chrf: { charOrder: 0 } }, /chrf: charOrder/);
  await options({ metrics: ["chrf"], chrf: { charOrder: 65 } }, /charOrder must be from 1 to 64/);
  await options({ metrics: ["bleu"], bleu: { maxNgramOrder: 65 } }, /maxNgramOrder must be from 1 to 64/);
  await options({ ter: { normalised: true } }, /ter: unknown option "normalised"/);
  await options({ rouge: { tokenizer: "ja" } }, /rouge: tokenizer must be one of default, zh/);
  await options({ rouge: { types: ["rouge1"] } }, /rouge: unknown option "types"/);
  await options({ signal: 1 }, /signal/);
  t.throws(() => rouge(["a"], ["b"], { types: ["rouge0" as "rouge1"] }), { instanceOf: OptionError, message: /types/ });
  const refused = (texts: unknown, others: unknown, message: RegExp) =>
    t.throwsAsync(scoreTexts(texts as never, others as never), { instanceOf: DataError, message });
  await refused([], [], /no hypotheses/);
  await refused(["a"], ["a", "b"], /expected 1 texts/);
  await refused(["a\ud800"], ["a"], /hypotheses\[0\] has a lone surrogate/);
  await refused(["a"], [["\udc00b"]], /references\[0\] has a lone surrogate/);
  await refused(["a"], [[null]], /hypothesis 0 has no reference/);
  await t.throwsAsync(scoreTexts(["a"], ["a"], { signal: AbortSignal.abort(new Error("enough")) }), {
    message: "enough",
  });
  const controller = new AbortController();
  const long = Array.from({ length: 300 }, (_, index) => `${index} `.repeat(900));
  const running = scoreTexts(long, [...long].reverse(), { metrics: ["ter"], signal: controller.signal });
  setTimeout(() => controller.abort(new Error("stop")), 20);
  await t.throwsAsync(running, { message: "stop" });
});

test("empty texts have scores", async (t) => {
  const scores = await scoreTexts(["", ""], ["", "a"], { metrics: textMetricNames });
  for (const [name, { score }] of Object.entries(scores)) t.true(Number.isFinite(score), name);
  t.is(sentenceTer("", "").score, 0);
  t.is(sentenceTer("a b", "").score, 100);
});

test("perplexity is exp of the mean of negative log-probabilities", (t) => {
  const found = corpusPerplexity([[Math.log(0.5), Math.log(0.25)], Float64Array.of(Math.log(0.5)), []]);
  t.true(near(found, 2 ** (4 / 3)));
  t.is(corpusPerplexity([[Number.NEGATIVE_INFINITY]]), Number.POSITIVE_INFINITY);
  const refused = (values: unknown, message: RegExp) =>
    t.throws(() => corpusPerplexity(values as never), { instanceOf: DataError, message });
  refused([], /no tokens/);
  refused([[0.1]], /entry 0 has 0\.1/);
  refused([[Number.NaN]], /entry 0 has NaN/);
  refused([1], /entry 0 is no list/);
});
