/** Trains in a worker thread: says `began` when a step runs, and posts a digest of the weights at the end of a run. */
import { createHash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { slowTagger } from "../small-model.ts";

const { epochs } = workerData as { epochs: number };
const { net, batch } = slowTagger(epochs > 10 ? {} : { units: 16, vocabulary: 40 });
await net.build();
const running = net.fit(batch(64), batch(64, 24, 4), { batchSize: 16, epochs, seed: 1, verbose: 0 });
// `fit` begins its first step some turns later.
const began = setTimeout(() => parentPort?.postMessage("began"), 20);
await running;
// A short run ends before that; the digest is the last word.
clearTimeout(began);
const digest = createHash("sha256");
for (const { data } of await net.getWeights()) digest.update(data);
parentPort?.postMessage(digest.digest("hex"));
