/** `layers.attentionRnn`; its numbers are compared with PyTorch in crates/engine/tests/golden.rs. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import {
  type AttentionForm,
  type AttentionRnnOptions,
  input,
  layers,
  loadModel,
  model,
  ndarray,
  OptionError,
  ShapeError,
  type SymbolicTensor,
} from "../../src/index.ts";
import { formulaIntegers } from "../helpers/formula-weights.ts";

/** What `predict` gives of an output. */
interface Found {
  readonly data: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

const forms = ["dot", "general", "concat", "bahdanau"] as const satisfies readonly AttentionForm[];

/** A layer over padded ids, with all that it can give. */
function made(options: Partial<AttentionRnnOptions>) {
  const [source, target] = [0, 1].map(() => input({ shape: [null], dtype: "int32" })) as [
    SymbolicTensor,
    SymbolicTensor,
  ];
  const embedded = (ids: SymbolicTensor) => layers.embedding({ inputDim: 9, outputDim: 6, maskZero: true })(ids);
  const layer = layers.attentionRnn({
    units: 6,
    returnSequences: true,
    ...options,
    returnState: true,
    returnAttentionScores: true,
  });
  const outputs = layer(embedded(target), embedded(source));
  return { layer, outputs, whole: model({ inputs: [source, target], outputs: [...outputs] }) };
}

const ids = (seed: number, rows: readonly number[], length: number) =>
  ndarray(
    Int32Array.from(
      rows.flatMap((count, row) => {
        const words = formulaIntegers(seed + row, Math.max(count, 1), 1, 9);
        return Array.from({ length }, (_, at) => (at < count ? words[at]! : 0));
      }),
    ),
    [rows.length, length],
  );

test("weights and outputs have the names and shapes that the reference says", (t) => {
  const shapes = (options: Partial<AttentionRnnOptions>) => {
    const { layer, outputs } = made(options);
    return {
      weights: layer.weights.map(({ name, shape }) => `${name} ${shape.join(" ")}`),
      outputs: outputs.length,
    };
  };
  t.deepEqual(shapes({ attention: "dot", inputFeeding: false }), {
    weights: ["kernel 6 24", "recurrentKernel 6 24", "bias 24", "combine/kernel 12 6"],
    outputs: 4,
  });
  t.deepEqual(shapes({ attention: "general", cell: "gru", useBias: false }), {
    weights: ["kernel 12 18", "recurrentKernel 6 18", "combine/kernel 12 6", "key/kernel 6 6"],
    outputs: 4,
  });
  t.deepEqual(shapes({ attention: "concat", attentionUnits: 5 }).weights, [
    "kernel 12 24",
    "recurrentKernel 6 24",
    "bias 24",
    "query/kernel 6 5",
    "scale 5",
    "combine/kernel 12 6",
    "key/kernel 6 5",
  ]);
  t.deepEqual(shapes({ attention: "dot", layers: 3, cell: "gru" }), {
    weights: [
      "kernel 12 18",
      "recurrentKernel 6 18",
      "bias 2 18",
      ...[2, 3].flatMap((cell) => [
        `cell${cell}/kernel 6 18`,
        `cell${cell}/recurrentKernel 6 18`,
        `cell${cell}/bias 2 18`,
      ]),
      "combine/kernel 12 6",
    ],
    outputs: 6,
  });
  t.deepEqual(shapes({ attention: "bahdanau", cell: "gru", resetAfter: false }), {
    weights: ["kernel 12 18", "recurrentKernel 6 18", "bias 18", "query/kernel 6 6", "scale 6", "key/kernel 6 6"],
    outputs: 3,
  });
});

for (const [attention, count] of [...forms.map((form) => [form, 1] as const), ["concat", 3] as const]) {
  test(`${attention} of ${count}: padding of both sides changes nothing, and shares add up to 1`, async (t) => {
    const { whole, outputs } = made({ attention, layers: count, cell: attention === "general" ? "gru" : "lstm" });
    t.true(outputs[0].masked);
    await whole.build({ seed: 3 });
    const [sources, targets] = [
      [4, 1, 3],
      [2, 3, 0],
    ] as const;
    const predict = (S: number, T: number) => whole.predict([ids(1, sources, S), ids(9, targets, T)]);
    const [short, long] = [await predict(4, 3), await predict(9, 7)] as Found[][];
    const last = short!.length - 1;
    for (let index = 1; index < last; index++) t.deepEqual(long![index]!.data, short![index]!.data);
    for (const [row, count] of targets.entries()) {
      for (let step = 0; step < count; step++) {
        const at = (found: Found) => {
          const [, steps, width] = found.shape as readonly [number, number, number];
          return [...found.data.slice((row * steps + step) * width, (row * steps + step + 1) * width)];
        };
        t.deepEqual(at(long![0]!), at(short![0]!));
        const shares = at(long![last]!);
        t.true(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-5);
        t.true(shares.every((share, source) => (source < sources[row]! ? share > 0 : share === 0)));
      }
    }
    whole.dispose();
  });
}

test("a model with it is saved and loaded", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sconce-attention-rnn-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const [attention, count] of [...forms.map((form) => [form, 1] as const), ["dot", 2] as const]) {
    const { whole } = made({ attention, layers: count });
    await whole.build({ seed: 5 });
    const place = join(folder, `${attention}${count}`);
    await whole.save(place);
    await using loaded = await loadModel(place);
    const data = [ids(1, [3, 2], 4), ids(5, [1, 4], 4)];
    t.deepEqual(await loaded.predict(data), await whole.predict(data));
    whole.dispose();
  }
});

test("options and inputs that do not fit are errors that say what to do", (t) => {
  const options: [options: object, message: RegExp][] = [
    [{}, /units must be an integer of at least 1/],
    [{ units: 2, unit: 3 }, /unknown option "unit"/],
    [{ units: 2, cell: "simpleRnn" }, /cell must be one of lstm, gru/],
    [{ units: 2, attention: "luong" }, /attention must be one of dot, general, concat, bahdanau/],
    [{ units: 2, attentionUnits: 3 }, /attentionUnits is no option of attention "general": leave it out/],
    [{ units: 2, attention: "concat", attentionUnits: 0 }, /attentionUnits must be an integer of at least 1/],
    [{ units: 2, attention: "bahdanau", inputFeeding: true }, /inputFeeding is no option of attention "bahdanau"/],
    [{ units: 2, resetAfter: true }, /resetAfter is no option of cell "lstm"/],
    [{ units: 2, cell: "gru", unitForgetBias: true }, /unitForgetBias is no option of cell "gru"/],
    [{ units: 2, useBias: 1 }, /useBias must be true or false/],
    [{ units: 2, dropout: 1 }, /dropout must be below 1/],
    [{ units: 2, layers: 0 }, /layers must be an integer of at least 1, got 0/],
    [{ units: 2, layers: 65 }, /layers must be at most 64, got 65/],
    [{ units: 2, layers: 2, inputFeeding: false }, /2 layers need inputFeeding/],
    [{ units: 2, layers: 2, attention: "bahdanau" }, /2 layers need inputFeeding/],
    [{ units: 2, recurrentDropout: -0.5 }, /recurrentDropout must be a number from 0 to 1/],
  ];
  for (const [given, message] of options) {
    t.throws(() => layers.attentionRnn(given as AttentionRnnOptions), { instanceOf: OptionError, message });
  }
  const sequence = (width: number) => input({ shape: [null, width] });
  const layer = layers.attentionRnn({ units: 3, attention: "dot" });
  const call = layer as unknown as (...inputs: unknown[]) => unknown;
  t.throws(() => call(sequence(2)), { instanceOf: OptionError, message: /expected a sequence, a memory and options/ });
  t.throws(() => call(sequence(2), sequence(3), { initialState: [sequence(3)] }), {
    instanceOf: OptionError,
    message: /initialState must be a list of the tensors \[h, c\] or \[h, c, output\], got a list of 1/,
  });
  const stacked = layers.attentionRnn({ units: 3, layers: 2 }) as unknown as typeof call;
  t.throws(() => stacked(sequence(2), sequence(3), { initialState: [sequence(3), sequence(3)] }), {
    instanceOf: OptionError,
    message: /a list of the tensors \[h1, c1, h2, c2\] or \[h1, c1, h2, c2, output\], got a list of 2/,
  });
  t.throws(() => call(sequence(2), sequence(4)), {
    instanceOf: ShapeError,
    message: /attention "dot" needs a memory with the 3 features of the units, got 4: use "general"/,
  });
  t.throws(() => call(sequence(2), input({ shape: [3] })), {
    instanceOf: ShapeError,
    message: /expected its memory to be a sequence/,
  });
  const state = () => input({ shape: [4] });
  t.throws(() => call(sequence(2), sequence(3), { initialState: [state(), state()] }), {
    instanceOf: ShapeError,
    message: /expected initial states of shape/,
  });
});
