import test from "ava";
import { classifier, floats, ids } from "./small-model.ts";

const [x, y] = [floats(4, 3), ids(4, 4)];
const own = new Error("stop here");

/** A model that has stopped in the middle of a group of steps, by an error or by itself. */
async function stopped(how: "throw" | "stop") {
  const net = classifier();
  await net.build();
  const before = await net.getWeights();
  const running = net.fit(floats(8, 3, 9), ids(8, 4, 9), {
    batchSize: 2,
    accumulateSteps: 4,
    verbose: 0,
    callbacks: [
      {
        onBatchEnd(step, _, trained) {
          if (step !== 1) return;
          if (how === "throw") throw own;
          trained.stopTraining = true;
        },
      },
    ],
  });
  await running.catch((error: unknown) => {
    if (error !== own) throw error;
  });
  return { net, before };
}

for (const how of ["throw", "stop"] as const) {
  test(`gradients of a group that was cut short do not leak into the next update (${how})`, async (t) => {
    const { net, before } = await stopped(how);
    t.deepEqual(await net.getWeights(), before, "no update happened");
    await net.trainOnBatch(x, y);
    const fresh = classifier();
    await fresh.build();
    await fresh.trainOnBatch(x, y);
    t.deepEqual(await net.getWeights(), await fresh.getWeights());
  });
}

test("accumulating a group gives what its batches give at once", async (t) => {
  const [whole, parts] = [classifier(), classifier()];
  await whole.fit(x, y, { batchSize: 4, shuffle: false, verbose: 0 });
  await parts.fit(x, y, { batchSize: 2, accumulateSteps: 2, shuffle: false, verbose: 0 });
  const [a, b] = [await whole.getWeights(), await parts.getWeights()];
  for (const [index, { data }] of a.entries()) {
    data.forEach((value, place) => {
      t.true(Math.abs(value - b[index]!.data[place]!) <= 1e-6, `weight ${index}, ${place}`);
    });
  }
});
