import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { environment } from "../../src/index.ts";

interface Outcome {
  simd: string;
  threads: number;
  losses: number[];
  weights: string;
}

/** A whole training run in a process of its own. */
async function run(variables: Record<string, string>, seed = "1"): Promise<Outcome> {
  const program = new URL("./children/run.ts", import.meta.url).pathname;
  const env = { ...process.env, ...variables };
  const { stdout } = await promisify(execFile)(process.execPath, ["--import=tsx", program, seed], { env });
  return JSON.parse(stdout) as Outcome;
}

test("a training run has the same bits for one, two and three threads, and in each repetition", async (t) => {
  const [one, two, three, again, other] = await Promise.all([
    run({ SCONCE_THREADS: "1" }),
    run({ SCONCE_THREADS: "2" }),
    run({ SCONCE_THREADS: "3" }),
    run({ SCONCE_THREADS: "1" }),
    run({ SCONCE_THREADS: "1" }, "2"),
  ]);
  t.deepEqual([one.threads, two.threads, three.threads], [1, 2, 3]);
  for (const { losses, weights } of [two, three, again]) t.deepEqual([losses, weights], [one.losses, one.weights]);
  t.not(other.weights, one.weights, "another seed gives other weights");
  t.true(one.losses.at(-1)! < one.losses[0]!);
});

test("each instruction set that the machine has trains the same run", async (t) => {
  const available = environment().simdAvailable;
  const runs = await Promise.all(available.map((simd) => run({ SCONCE_SIMD: simd })));
  t.deepEqual(runs.map(({ simd }) => simd), available); // biome-ignore format: one line
  const expected = runs[0]!.losses;
  for (const { simd, losses } of runs) {
    for (const [epoch, loss] of losses.entries()) {
      const error = Math.abs(loss / expected[epoch]! - 1);
      t.true(error <= 1e-4, `${simd}, epoch ${epoch}: ${loss} instead of ${expected[epoch]}`);
    }
  }
});
