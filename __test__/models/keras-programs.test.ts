/**
 * Random programs against Keras: predictions, losses and metrics, the gradient (by the weights after a step of plain gradient
 * descent), and the losses of three steps of any optimiser.
 */
import test from "ava";
import { decoded, goldenPrograms, made, numbers, type Program, programModel } from "../helpers/golden-program.ts";

const kinds = {
  predictions: 1e-5,
  "losses and metrics": 1e-5,
  // Through all layers of a program.
  gradients: 2e-5,
  curves: 1e-4,
} as const;
type Kind = keyof typeof kinds;

const quiet = { verbose: "silent" } as const;

/** The largest difference, relative to the largest value. */
function difference(found: ArrayLike<number>, expected: ArrayLike<number>, atLeast = 1e-6): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [largest, worst] = [atLeast, 0];
  for (let index = 0; index < expected.length; index++) {
    largest = Math.max(largest, Math.abs(expected[index]!));
    const error = Math.abs(found[index]! - expected[index]!);
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return worst / largest;
}

async function errors(program: Program): Promise<Partial<Record<Kind, number>>> {
  const { model, layers } = await programModel(program);
  try {
    const x = program.inputs.map(({ data }) => numbers(data));
    const predicted = (await model.predict(x.length > 1 ? x : x[0]!)) as unknown as {
      data: Float32Array;
      shape: number[];
    };
    const found: Partial<Record<Kind, number>> = {
      predictions: difference(predicted.data, decoded(program.prediction)),
    };
    if (program.target === undefined) return found;
    model.compile({
      optimizer: made(program.optimizer, ["optimizers"]) as never,
      loss: made(program.loss, ["losses"]) as never,
      metrics: program.metrics.map((metric) => made(metric, ["metrics"]) as never),
    });
    const y = numbers(program.target);
    const weighted = program.sampleWeight === undefined ? {} : { sampleWeight: numbers(program.sampleWeight) };
    const given = x.length > 1 ? x : x[0]!;
    const evaluated = await model.evaluate(given, y, { batchSize: 2, ...weighted, ...quiet });
    found["losses and metrics"] = Math.max(
      ...Object.values(evaluated).map((value, index) => difference([value], [program.evaluation[index]!], 1e-2)),
    );
    const before = await Promise.all(layers.map((layer) => (layer.weights.length > 0 ? layer.getWeights() : [])));
    const curve: number[] = [];
    for (let step = 0; step < program.history.length; step++) {
      curve.push((await model.trainOnBatch(given, y, weighted)).loss);
      if (step > 0 || program.updated === undefined) continue;
      const after = await Promise.all(layers.map((layer) => (layer.weights.length > 0 ? layer.getWeights() : [])));
      const old = before.flat();
      found.gradients = Math.max(
        0,
        ...after.flat().map(({ data }, index) => {
          const gradient = (updated: ArrayLike<number>) =>
            Array.from(old[index]!.data, (value, element) => value - updated[element]!);
          // Weights are rounded: what is below a hundredth of a weight cannot be seen to five digits.
          return difference(gradient(data), gradient(decoded(program.updated![index]!)), 1e-2);
        }),
      );
    }
    found.curves = difference(curve, program.history, 1e-2);
    return found;
  } finally {
    model.dispose();
  }
}

test("random programs: predictions, losses, metrics, gradients and curves are those of Keras", async (t) => {
  const programs = goldenPrograms().filter(({ number }) => (process.env.PROGRAM ?? `${number}`) === `${number}`);
  const counted = new Map<Kind, number>();
  const worst = new Map<Kind, number>();
  const wrong: string[] = [];
  for (const program of programs) {
    const said = `program ${program.number}: ${program.calls.map(({ layer }) => layer.type).join(" ")}`;
    try {
      const found = await errors(program);
      for (const [kind, error] of Object.entries(found) as [Kind, number][]) {
        counted.set(kind, (counted.get(kind) ?? 0) + 1);
        worst.set(kind, Math.max(worst.get(kind) ?? 0, error));
        if (!(error <= kinds[kind])) wrong.push(`${said}: ${kind}: ${error.toExponential(1)}`);
      }
    } catch (error) {
      wrong.push(`${said}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  t.deepEqual(wrong.slice(0, 200), [], `${wrong.length} of ${programs.length} programs differ`);
  t.true(programs.length >= (process.env.PROGRAM === undefined ? 1000 : 1));
  for (const [kind, count] of counted) t.log(`${count} ${kind}: largest error ${worst.get(kind)!.toExponential(1)}`);
});
