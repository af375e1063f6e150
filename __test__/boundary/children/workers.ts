/**
 * Loads the addon in several workers at once, trains in each, and ends them. Arguments: `finish`, or `terminate` and how often.
 * Prints what the workers posted, one line a worker.
 */
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { Worker } from "node:worker_threads";

const [mode, rounds = "1"] = process.argv.slice(2);

/** The loader of TypeScript does not reach workers by itself. */
function start(epochs: number): Worker {
  const program = JSON.stringify(new URL("./worker.ts", import.meta.url).href);
  const code = `import("tsx/esm/api").then(({ register }) => { register(); return import(${program}); })`;
  return new Worker(code, { eval: true, workerData: { epochs } });
}

if (mode === "finish") {
  const results = Array.from({ length: 4 }, async () => {
    const worker = start(2);
    const messages: unknown[] = [];
    worker.on("message", (message) => messages.push(message));
    const [status] = await once(worker, "exit");
    console.log(status, messages.at(-1));
  });
  await Promise.all(results);
} else {
  for (let round = 0; round < Number(rounds); round++) {
    const ended = Array.from({ length: 4 }, async (_, index) => {
      const worker = start(10_000);
      await once(worker, "message");
      await wait(7 * index + 3 * round);
      return worker.terminate();
    });
    console.log((await Promise.all(ended)).join(" "));
  }
}
