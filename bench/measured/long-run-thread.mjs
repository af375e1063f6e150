// A thread that trains a little and leaves its model to the garbage collector, or is ended before.
import { parentPort, workerData } from "node:worker_threads";
import { trainSome } from "./small-steps.mjs";
import { textbook } from "./textbook.mjs";

const model = textbook(workerData.size);
for (let step = 0; step < 12; step++) {
  await trainSome(model, step + workerData.number, workerData.size.vocabulary);
  if (step === 1) parentPort.postMessage("training");
}
if (workerData.number % 2 === 0) model.dispose();
