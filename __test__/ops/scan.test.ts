import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  defineLayer,
  GraphError,
  input,
  layers,
  loadModel,
  model,
  ndarray,
  OptionError,
  ops,
  ShapeError,
  type SymbolicTensor,
  weight,
} from "../../src/index.ts";
import { formulaValues } from "../helpers/formula-weights.ts";

interface Golden {
  cases: { mask: number[] | null; reverse: boolean; y: number[]; last: number[] }[];
}

const [rows, steps, features, units] = [3, 5, 4, 3];

/** A GRU by hand, with gates z, r, h as in Keras. */
const gru = defineLayer({
  name: "handmadeGru",
  options: { units, reverse: false, masked: false },
  build: ([x], { units: size }) => ({
    kernel: weight([x!.at(-1)!, 3 * size]),
    recurrent: weight([size, 3 * size]),
    bias: weight([2, 3 * size]),
  }),
  call(inputs: readonly SymbolicTensor[], { kernel, recurrent, bias }, { options: { units: size, reverse, masked } }) {
    const [x, mask] = inputs as [SymbolicTensor, SymbolicTensor];
    const [inputBias, stateBias] = ops.split(bias, 2, 0) as [SymbolicTensor, SymbolicTensor];
    const projected = ops.add(ops.matmul(x, kernel), inputBias);
    const zeros = ops.full([ops.shape(x)[0]!, size], 0);
    const [last, y] = ops.scan(
      (h, step) => {
        const [xz, xr, xh] = ops.split(step, 3) as [SymbolicTensor, SymbolicTensor, SymbolicTensor];
        const inner = ops.split(ops.add(ops.matmul(h, recurrent), stateBias), 3);
        const [hz, hr, hh] = inner as [SymbolicTensor, SymbolicTensor, SymbolicTensor];
        const z = ops.sigmoid(ops.add(xz, hz));
        const candidate = ops.tanh(ops.add(xh, ops.multiply(ops.sigmoid(ops.add(xr, hr)), hh)));
        const next = ops.add(ops.multiply(z, h), ops.multiply(ops.subtract(1, z), candidate));
        return [next, next];
      },
      zeros,
      projected,
      { reverse, ...(masked && { mask }) },
    );
    return [y, last];
  },
});

const { cases } = JSON.parse(readFileSync(new URL("../golden/keras/scan.json", import.meta.url), "utf8")) as Golden;

test("a GRU by hand gives the numbers of Keras' GRU, with masks and from the end, also when loaded", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sconce-scan-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  t.is(cases.length, 4);
  const data = ndarray(formulaValues(1, rows * steps * features, 1), [rows, steps, features]);
  for (const [number, { mask, reverse, y, last }] of cases.entries()) {
    const x = input({ shape: [null, features] });
    const counts = input({ shape: [null] });
    const layer = gru({ reverse, masked: mask !== null });
    await using made = model({ inputs: [x, counts], outputs: [...layer([x, counts])] });
    await made.build();
    await layer.setWeights([
      { data: formulaValues(2, 36, 0.7), shape: [4, 9] },
      { data: formulaValues(3, 27, 0.7), shape: [3, 9] },
      { data: formulaValues(4, 18, 0.5), shape: [2, 9] },
    ]);
    const flags = ndarray(Float32Array.from(mask ?? Array.from({ length: rows * steps }, () => 1)), [rows, steps]);
    const found = await made.predict([data, flags]);
    for (const [index, expected] of [y, last].entries()) {
      const { data: got } = found[index]!;
      t.is(got.length, expected.length);
      const worst = Math.max(...expected.map((value, at) => Math.abs(value - got[at]!)));
      t.true(worst < 1e-6, `case ${number}, output ${index}: ${worst}`);
    }
    await made.save(join(folder, String(number)));
    await using loaded = await loadModel<typeof made>(join(folder, String(number)));
    t.deepEqual(await loaded.predict([data, flags]), found);
  }
});

test("a cell by hand learns, also what comes from outside", async (t) => {
  const x = input({ shape: [null, 2] });
  const start = layers.dense({ units: 6, activation: "tanh" })(ops.mean(x, { axis: 1 }));
  const mixed = defineLayer({
    name: "mixed",
    build: () => ({ w: weight([2, 6]), u: weight([6, 6], { initializer: "orthogonal" }) }),
    call([xs, h]: readonly SymbolicTensor[], { w, u }) {
      const [last] = ops.scan(
        (state, step) => {
          const next = ops.tanh(ops.add(ops.matmul(step, w), ops.matmul(state, u)));
          return [next, next];
        },
        h!,
        xs!,
      );
      return last;
    },
  });
  const layer = mixed();
  const outputs = layers.dense({ units: 2, activation: "softmax" })(layer([x, start]));
  await using made = model({ inputs: x, outputs });
  made.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy" });
  made.optimizer.learningRate = 0.02;
  const values = Float32Array.from({ length: 16 * 4 * 2 }, (_, at) => Math.sin(at * 1.7));
  const targets = Array.from({ length: 16 }, (_, row) => [values[row * 8 + 1]! > 0 ? 1 : 0]);
  await made.build();
  const before = await layer.getWeights();
  const { history } = await made.fit(ndarray(values, [16, 4, 2]), targets, {
    epochs: 80,
    verbose: "silent",
    batchSize: 16,
  });
  t.true(history.loss!.at(-1)! < 0.3 * history.loss![0]!, `${history.loss![0]} to ${history.loss!.at(-1)}`);
  for (const [index, { data }] of (await layer.getWeights()).entries()) t.notDeepEqual(data, before[index]!.data);
});

test("steps without sequences, several states, no steps at all", async (t) => {
  const x = input({ shape: [2] });
  const [states, powers] = ops.scan(
    ([a, b]) => [[ops.multiply(a!, 2), ops.add(b!, a!)], b!],
    [x, x] as readonly SymbolicTensor[],
    null,
    { length: 4 },
  );
  await using made = model({ inputs: x, outputs: [...states, powers] });
  const [doubled, sum, all] = await made.predict(ndarray(Float32Array.of(1, 2), [1, 2]));
  t.deepEqual([...doubled!.data], [16, 32]);
  t.deepEqual([...sum!.data], [16, 32]);
  t.deepEqual(all!.shape, [1, 4, 2]);
  t.deepEqual([...all!.data], [1, 2, 2, 4, 4, 8, 8, 16]);
  const y = input({ shape: [null, 2] });
  const [last, seen] = ops.scan((s, step) => [ops.add(s, step), step], ops.full([ops.shape(y)[0]!, 2], 3), y);
  await using summed = model({ inputs: y, outputs: [last, seen] });
  const [unchanged, none] = await summed.predict(ndarray(new Float32Array(0), [1, 0, 2]));
  t.deepEqual([...unchanged!.data], [3, 3]);
  t.deepEqual(none!.shape, [1, 0, 2]);
});

test("wrong steps are refused by name", (t) => {
  const x = input({ shape: [null, 2] });
  const h = input({ shape: [2] });
  const same = (s: SymbolicTensor, y: SymbolicTensor) => [s, y] as const;
  const options: (() => unknown)[] = [
    () => ops.scan(3 as never, h, x),
    () => ops.scan(same, h, x, { length: 0 }),
    () => ops.scan(same, h, x, { back: true } as never),
    () => ops.scan(((s: SymbolicTensor) => s) as never, h, x),
    () => ops.scan(((s: SymbolicTensor) => [[s, s], s]) as never, h, x),
    () => ops.scan(same as never, h, null),
    () => ops.scan((s, y) => [s, layers.dropout({ rate: 0.5 })(y)], h, x),
    () => ops.scan((s, y) => [s, ops.multiply(y, ops.training())], h, x),
  ];
  for (const make of options) t.throws(make, { instanceOf: OptionError }, String(make));
  const shapes: (() => unknown)[] = [
    () => ops.scan(same, h, input({ shape: [] })),
    () => ops.scan((_, y) => [ops.concatenate([y, y]), y], h, x),
    () => ops.scan(same, h, x, { mask: x }),
  ];
  for (const make of shapes) t.throws(make, { instanceOf: ShapeError }, String(make));
  t.throws(() => ops.scan((s, y) => [s, layers.dense({ units: 2, name: "inner" })(y)], h, x), {
    instanceOf: GraphError,
    message: /layer inner has weights/,
  });
});
