import test from "ava";
import { metrics, OptionError } from "../../src/index.ts";
import { resolveMetric, restoreMetric } from "../../src/metrics/resolve.ts";

test("accuracies are means, the perplexity is exp of one", (t) => {
  t.is(metrics.accuracy().read(3, 4), 0.75);
  t.is(
    metrics
      .perplexity()
      .read(4 * Math.log(8), 4)
      .toFixed(9),
    "8.000000000",
  );
  t.is(metrics.rootMeanSquaredError().read(8, 2), 2);
  for (const metric of [metrics.binaryAccuracy(), metrics.perplexity(), metrics.precision()])
    t.is(metric.read(0, 0), 0);
});

test("names mean the default options, and wrong ones are refused", (t) => {
  t.deepEqual(resolveMetric("test", "binaryAccuracy").document, { type: "binaryAccuracy", threshold: 0.5 });
  t.is(resolveMetric("test", "sparseCategoricalAccuracy").name, "sparseCategoricalAccuracy");
  t.is(resolveMetric("test", "acc").name, "acc");
  t.is(resolveMetric("test", "acc").type, "accuracy");
  t.throws(() => resolveMetric("test", "exactness"), { instanceOf: OptionError, message: /one of accuracy/ });
  t.throws(() => metrics.topKCategoricalAccuracy({ k: 0 }), { instanceOf: OptionError });
  t.throws(() => metrics.recall({ name: "" }), { instanceOf: OptionError });
  t.throws(() => metrics.meanSquaredError({ threshold: 1 } as never), { instanceOf: OptionError });
  t.throws(() => metrics.binaryCrossentropy({ delta: 1 } as never), { instanceOf: OptionError });
  t.throws(() => metrics.binaryAccuracy({ threshold: Number.NaN }), { instanceOf: OptionError });
});

test("documents give metrics again", (t) => {
  for (const metric of [
    metrics.binaryAccuracy({ threshold: 0.25 }),
    metrics.perplexity({ fromLogits: true }),
    metrics.accuracy(),
    metrics.topKCategoricalAccuracy({ k: 3, name: "top3" }),
    metrics.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics.categoricalCrossentropy({ labelSmoothing: 0.1, name: "smoothed" }),
    metrics.categoricalCrossentropy({ labelSmoothing: { value: 0.1, definition: "joeynmt", padding: 2 } }),
    metrics.binaryCrossentropy({ labelSmoothing: 0.1 }),
    metrics.cosineSimilarity(),
    metrics.precision({ threshold: 0.3 }),
  ]) {
    t.deepEqual(restoreMetric(JSON.parse(JSON.stringify(metric.document))).document, metric.document);
  }
  t.throws(() => restoreMetric({ type: "valueOf" }), { instanceOf: OptionError });
});
