import test from "ava";
import { DataError, OptionError, type RetrievalValues, retrieval } from "../../../src/index.ts";
import { goldenMetrics, near } from "../../helpers/metrics.ts";

interface Case {
  k: number;
  queries: { ranking: string[]; grades: Record<string, number>; values: RetrievalValues }[];
}

const cases = goldenMetrics<Case[]>("retrieval.json");

test("random rankings have the values of trec_eval", (t) => {
  for (const [number, { k, queries }] of cases.entries()) {
    const found = retrieval(
      queries.map(({ ranking }) => ranking),
      queries.map(({ grades }) => new Map(Object.entries(grades))),
      { k },
    );
    const names = Object.keys(queries[0]!.values) as (keyof RetrievalValues)[];
    for (const [index, { values }] of queries.entries()) {
      for (const name of names) {
        const own = found.queries[index]![name];
        t.true(near(own, values[name]), `case ${number}, query ${index}, ${name}: ${own} instead of ${values[name]}`);
      }
    }
    const mean = (name: keyof RetrievalValues) =>
      queries.reduce((sum, { values }) => sum + values[name], 0) / queries.length;
    t.true(near(found.mrr, mean("reciprocalRank")) && near(found.map, mean("averagePrecision")));
    t.true(near(found.ndcg, mean("ndcg")) && near(found.precision, mean("precision")));
  }
});

test("ids may be lists and sets, and gains exponential", (t) => {
  const { recall, ndcg } = retrieval([["a", "b"]], [["b", "c"]], { k: 1 });
  t.deepEqual([recall, ndcg], [0, 0]);
  t.is(retrieval([["a", "b"]], [new Set(["b"])]).mrr, 0.5);
  const graded = retrieval([["a", "b"]], [new Map(Object.entries({ a: 1, b: 2 }))], { gain: "exponential" });
  t.true(near(graded.ndcg, (1 + 3 / Math.log2(3)) / (3 + 1 / Math.log2(3))));
  t.is(retrieval([["a"]], [[]]).ndcg, 0);
});

test("what does not fit is refused", (t) => {
  const refused = (rankings: unknown, relevant: unknown, message: RegExp) => {
    t.throws(() => retrieval(rankings as never, relevant as never), { instanceOf: DataError, message });
  };
  refused([], [], /no queries/);
  refused([["a"]], [], /1 rankings but 0 sets/);
  refused([["a", "a"]], [["a"]], /rankings\[0\] has an id twice/);
  refused([[1]], [["a"]], /rankings\[0\] must be a list of ids/);
  refused([["a"]], ["a"], /relevant\[0\] must be a list or set of ids, or a map/);
  refused([["a"]], [new Map([["a", Number.NaN]])], /relevant\[0\]/);
  t.throws(() => retrieval([["a"]], [["a"]], { k: 0 }), { instanceOf: OptionError, message: /k must be/ });
});
