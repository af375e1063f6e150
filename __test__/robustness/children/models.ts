/** Makes, trains and disposes of models one after the other; prints resident MiB after 10, and after all, as JSON. */
import { rmsprop } from "../../../src/index.ts";
import { slowTagger } from "../../boundary/small-model.ts";

const resident = () => process.memoryUsage.rss() / 2 ** 20;

// About 2 MiB of weights, as much of gradients and of the optimiser's state.
async function once(): Promise<void> {
  const { net, batch } = slowTagger({ units: 256, vocabulary: 600 });
  net.compile({ optimizer: rmsprop(), loss: "sparseCategoricalCrossentropy" });
  await net.trainOnBatch(batch(8, 6), batch(8, 6, 4));
  if (process.argv[2] !== "keep") net.dispose();
  else kept.push(net);
}

const kept: unknown[] = [];
for (let index = 0; index < 10; index++) await once();
const before = resident();
for (let index = 0; index < 30; index++) await once();
console.log(JSON.stringify({ before, after: resident(), kept: kept.length }));
