import test from "ava";
import fc from "fast-check";
import {
  Dataset,
  input,
  layers,
  type Model,
  model,
  ndarray,
  optimizers,
  type SymbolicTensor,
} from "../../src/index.ts";
import { complaint } from "./outcomes.ts";

/** Numbers that options may be given by mistake, and some that are right. */
const odd = fc.constantFrom(-1, 0, 0.5, 1, 2, 3, 1e-8, 7, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40, 2 ** 53, -0);
/** A few right values, and seldom an odd one. */
const mostly = <T>(...values: T[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom<unknown>(...values) }, { weight: 1, arbitrary: odd });
const flag = fc.boolean();
const merges = ["add", "subtract", "multiply", "average", "maximum", "minimum"];

const layer = fc.oneof(
  fc.record({
    type: fc.constant("dense"),
    units: mostly(1, 2, 5),
    activation: mostly("softmax", "relu", "tanh", "linear", "sigmoid", "gelu"),
    useBias: flag,
  }),
  fc.record({ type: fc.constant("dropout"), rate: mostly(0, 0.5, 1), seed: mostly(0, 7) }),
  fc.record({ type: fc.constant("activation"), activation: mostly("softmax", "relu", "exponential") }),
  fc.record({
    type: fc.constant("lstm"),
    units: mostly(1, 3),
    returnSequences: flag,
    goBackwards: flag,
    dropout: mostly(0, 0.3),
    recurrentDropout: mostly(0, 0.3),
    unitForgetBias: flag,
    useBias: flag,
    activation: mostly("tanh", "relu"),
  }),
  fc.record({
    type: fc.constantFrom("gru", "simpleRnn"),
    units: mostly(1, 3),
    returnSequences: flag,
    goBackwards: flag,
    dropout: mostly(0, 0.3),
    recurrentDropout: mostly(0, 0.3),
    useBias: flag,
    activation: mostly("tanh", "silu"),
  }),
  fc.record({ type: fc.constant("reshape"), targetShape: mostly([-1], [-1, 1], [2, -1]) }),
  fc.record({ type: fc.constant("permute"), dims: mostly([2, 1], [1], [1, 2]) }),
  fc.record({ type: fc.constant("flatten") }),
  fc.record({ type: fc.constant("repeatVector"), n: mostly(1, 2, 4) }),
  fc.record({ type: fc.constantFrom(...merges, "concatenate"), axis: mostly(-1, 1, -2) }),
);

const spec = fc.record({
  embedded: flag,
  maskZero: flag,
  rows: fc.constantFrom(0, 1, 3),
  time: fc.constantFrom(0, 1, 4),
  width: fc.constantFrom(1, 3),
  chain: fc.array(layer, { maxLength: 4 }),
  loss: mostly("categoricalCrossentropy", "sparseCategoricalCrossentropy"),
  metrics: fc.subarray([
    "accuracy",
    "perplexity",
    "binaryAccuracy",
    "sparseCategoricalAccuracy",
    "categoricalAccuracy",
  ]),
  optimizer: fc.record({
    type: fc.constantFrom("sgd", "rmsprop", "adam", "adamw"),
    learningRate: mostly(0.1, 0.01),
    momentum: mostly(0, 0.9),
    sparse: flag,
    centered: flag,
    clipnorm: mostly(undefined, undefined, 1),
    clipvalue: mostly(undefined, undefined, undefined, 1),
    weightDecay: mostly(undefined, undefined, 0.1),
  }),
  values: fc.constantFrom("small", "zeros", "huge", "NaN", "Infinity", "negative"),
  targets: fc.constantFrom("ids", "probabilities", "wrong ids", "wrong shape"),
  weights: fc.constantFrom("none", "ones", "zeros", "NaN", "negative", "by time"),
});
type Spec = typeof spec extends fc.Arbitrary<infer T> ? T : never;

type Make = (options: unknown) => (inputs: unknown) => SymbolicTensor | SymbolicTensor[];

function built({ embedded, maskZero, width, chain }: Spec): Model {
  const x = embedded ? input({ shape: [null], dtype: "int32" }) : input({ shape: [null, width] });
  let y: SymbolicTensor = embedded ? layers.embedding({ inputDim: 6, outputDim: width, maskZero })(x) : x;
  for (const { type, ...options } of chain) {
    const make = (layers as unknown as Record<string, Make>)[type]!;
    const joins = type === "concatenate" || merges.includes(type);
    const { axis, ...others } = options as { axis?: unknown };
    const made = make(type === "concatenate" ? { axis } : others)(joins ? [y, y] : y);
    y = Array.isArray(made) ? made[0]! : made;
  }
  return model({ inputs: x, outputs: y });
}

const fills: Record<string, number> = {
  zeros: 0,
  huge: 3e38,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  negative: -1,
};

function dataOf(net: Model, { embedded, rows, time, width, values, targets, weights }: Spec) {
  const count = rows * time * (embedded ? 1 : width);
  const fill = (index: number) => (values === "small" ? index % 5 : fills[values]!);
  const x = embedded
    ? ndarray(
        Int32Array.from({ length: count }, (_, index) => fill(index)),
        [rows, time],
      )
    : ndarray(
        Float32Array.from({ length: count }, (_, index) => fill(index)),
        [rows, time, width],
      );
  const shape = net.outputs[0]!.signature.shape.map((size, axis) =>
    typeof size === "number" ? size : axis === 0 ? rows : time,
  );
  const classes = shape.at(-1)!;
  const size = (axes: number[]) => axes.reduce((product, axis) => product * axis, 1);
  const inner = targets === "wrong shape" ? [...shape.slice(0, -1), 2, 1] : shape.slice(0, -1);
  const id = (index: number) => (targets === "wrong ids" ? classes + index : index % classes);
  const y =
    targets === "probabilities"
      ? ndarray(new Float32Array(size(shape)).fill(1 / classes), shape)
      : ndarray(
          Int32Array.from({ length: size(inner) }, (_, index) => id(index)),
          inner,
        );
  const weight = ({ zeros: 0, NaN: Number.NaN, negative: -1 } as Record<string, number>)[weights] ?? 1;
  const weighted = weights === "by time" ? [rows, time] : [rows];
  const sampleWeight =
    weights === "none" ? undefined : ndarray(new Float32Array(size(weighted)).fill(weight), weighted);
  return { x, y, options: sampleWeight === undefined ? {} : { sampleWeight } };
}

function optimizerOf({ type, ...options }: Spec["optimizer"]) {
  const known: Record<string, string[]> = {
    sgd: ["learningRate", "momentum", "clipnorm", "clipvalue", "weightDecay"],
    rmsprop: ["learningRate", "momentum", "centered", "clipnorm", "clipvalue", "weightDecay"],
    adam: ["learningRate", "sparse", "clipnorm", "clipvalue", "weightDecay"],
    adamw: ["learningRate", "sparse", "clipnorm", "clipvalue", "weightDecay"],
  };
  const given = Object.entries(options).filter(([name, value]) => known[type]!.includes(name) && value !== undefined);
  return (optimizers as unknown as Record<string, (options: unknown) => never>)[type]!(Object.fromEntries(given));
}

/** Everything that can be done with a model; gives the first outcome that is neither a value nor a typed error. */
async function tried(each: Spec): Promise<string | undefined> {
  let net: Model | undefined;
  let problem = await complaint(() => {
    net = built(each);
  });
  if (problem !== undefined || net === undefined) return problem;
  const own = net;
  problem = await complaint(() => own.build({ seed: 1 }));
  const { x, y, options } = dataOf(own, each);
  problem ??= await complaint(() => own.predict(x));
  problem ??= await complaint(() =>
    own.compile({
      optimizer: optimizerOf(each.optimizer),
      loss: each.loss as "categoricalCrossentropy",
      metrics: each.metrics as "accuracy"[],
    }),
  );
  problem ??= await complaint(() => own.trainOnBatch(x, y, options));
  problem ??= await complaint(() => own.testOnBatch(x, y, options));
  problem ??= await complaint(() => own.fit(Dataset.from([{ inputs: [x], targets: [y] }]), { epochs: 2, verbose: 0 }));
  problem ??= await complaint(() => own.evaluate(x, y, options));
  problem ??= await complaint(() => own.getWeights());
  own.dispose();
  return problem;
}

test("whatever is asked of whatever model, there is a value or an error that says what is wrong", async (t) => {
  const runs = Number(process.env.SCONCE_FUZZ_RUNS ?? 300);
  const seed = process.env.SCONCE_FUZZ_SEED === undefined ? 1 : Number(process.env.SCONCE_FUZZ_SEED);
  await fc.assert(
    fc.asyncProperty(spec, async (each) => {
      const problem = await tried(each);
      if (problem !== undefined) throw new Error(problem);
    }),
    { numRuns: runs, seed },
  );
  t.pass();
});
