import test from "ava";
import { collectGraph, replay } from "../../src/graph/collect.ts";
import { input, layers, model } from "../../src/index.ts";

test("a very deep graph is collected without recursion", (t) => {
  const x = input({ shape: [1] });
  const dense = layers.dense({ units: 1 });
  let y = x;
  for (let depth = 0; depth < 3_000; depth++) y = dense(y);
  const { nodes, layers: list } = collectGraph([x], [y]);
  t.is(nodes.length, 3_001);
  t.deepEqual(
    list.map(({ type }) => type),
    ["input", "dense"],
  );
});

test("a layer counts as far away as its farthest call", (t) => {
  const x = input({ shape: [2], name: "x" });
  const shared = layers.dense({ units: 2, name: "shared" });
  const between = layers.dense({ units: 2, name: "between" });
  const { layers: list } = collectGraph([x], [shared(between(shared(x)))]);
  t.deepEqual(
    list.map(({ name }) => name),
    ["x", "shared", "between"],
  );
});

test("nodes are in the order of calls, and what leads nowhere is left out", (t) => {
  const x = input({ shape: [2], name: "x" });
  const [a, b, c] = ["a", "b", "c"].map((name) => layers.dense({ units: 2, name })(x));
  const { nodes } = collectGraph([x], [layers.add({ name: "sum" })([c!, a!])]);
  t.deepEqual(
    nodes.map(({ layer }) => layer.name),
    ["x", "a", "c", "sum"],
  );
  t.truthy(b);
});

test("replaying keeps what does not depend on a replacement", (t) => {
  const [x, z] = [input({ shape: [2] }), input({ shape: [2] })];
  const kept = layers.dense({ units: 2 })(z);
  const sum = layers.add()([layers.dense({ units: 2 })(x), kept]);
  const other = input({ shape: [2] });
  const [again] = replay([sum], new Map([[x, other]]));
  t.not(again, sum);
  t.notThrows(() => model({ inputs: [other, z], outputs: again! }));
  t.deepEqual(replay([x, kept], new Map([[x, other]])).length, 2);
  t.is(replay([x], new Map([[x, other]]))[0], other);
});
