/** Leaves the process by `process.exit(7)` while calls run and wait. Arguments: milliseconds to wait before. */
import { classifier, floats, ids, slowTagger } from "../small-model.ts";

const delay = Number(process.argv[2]);
const { net, batch } = slowTagger();
const other = classifier();
await Promise.all([net.build(), other.build()]);
const running = [
  net.fit(batch(256), batch(256, 24, 4), { batchSize: 32, epochs: 100, verbose: 0 }),
  net.predict(batch(512)),
  net.evaluate(batch(512), batch(512)),
  other.fit(floats(64, 3), ids(64, 4), { batchSize: 4, epochs: 1000, verbose: 0 }),
  ...Array.from({ length: 50 }, () => other.trainOnBatch(floats(4, 3), ids(4, 4))),
];
for (const promise of running) promise.catch((error: unknown) => console.error("rejected", error));
setTimeout(() => process.exit(7), delay);
