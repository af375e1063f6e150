import test from "ava";
import { metrics, OptionError } from "../../src/index.ts";
import { resolveMetric, restoreMetric } from "../../src/metrics/metric.ts";

test("accuracies are means, the perplexity is exp of one", (t) => {
  t.is(metrics.accuracy().read(3, 4), 0.75);
  t.is(
    metrics
      .perplexity()
      .read(4 * Math.log(8), 4)
      .toFixed(9),
    "8.000000000",
  );
  for (const metric of [metrics.binaryAccuracy(), metrics.perplexity()]) t.is(metric.read(0, 0), 0);
});

test("names mean the default options, and wrong ones are refused", (t) => {
  t.deepEqual(resolveMetric("test", "binaryAccuracy").document, { type: "binaryAccuracy", threshold: 0.5 });
  t.is(resolveMetric("test", "sparseCategoricalAccuracy").name, "sparseCategoricalAccuracy");
  t.throws(() => resolveMetric("test", "acc"), { instanceOf: OptionError, message: /known|one of accuracy/ });
  t.throws(() => metrics.binaryAccuracy({ threshold: Number.NaN }), { instanceOf: OptionError });
});

test("documents give metrics again", (t) => {
  for (const metric of [metrics.binaryAccuracy({ threshold: 0.25 }), metrics.perplexity(), metrics.accuracy()]) {
    t.deepEqual(restoreMetric(JSON.parse(JSON.stringify(metric.document))).document, metric.document);
  }
  t.throws(() => restoreMetric({ type: "valueOf" }), { instanceOf: OptionError });
});
