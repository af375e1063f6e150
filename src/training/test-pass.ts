import { DataError } from "../errors.ts";
import type { Progress } from "./progress.ts";
import type { BatchSource } from "./source.ts";
import { testRequest } from "./step-request.ts";
import { BatchStream } from "./stream.ts";
import { Tally } from "./tally.ts";
import { resetStates, type Trainable } from "./trainable.ts";

/** Runs once over data without training, and tells the progress. States of stateful layers begin and end as zeros. */
export async function testPass(
  model: Trainable,
  source: BatchSource,
  limit: number | undefined,
  epoch: number,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<Tally> {
  const trainer = model.trainer();
  const steps = limit ?? source.count;
  const tally = new Tally(model.trainedOutputs);
  const values = () => tally.values();
  const stream = new BatchStream(source, { epoch: 0, step: 0 }, limit !== undefined, signal);
  progress.begin("validate", epoch, steps);
  let step = 0;
  try {
    await resetStates(model);
    while (steps === undefined || step < steps) {
      const data = await stream.take();
      if (data === undefined) break;
      const running = trainer.testOnBatch(testRequest(model, data), signal);
      if (steps === undefined || step + 1 < steps) stream.prefetch();
      tally.add(await running, data.rows);
      step += 1;
      progress.step(step, tally.tokens, values);
    }
    await resetStates(model);
  } finally {
    stream.close();
  }
  if (step === 0) throw new DataError("there are no data to evaluate on");
  progress.end(step, tally.tokens, values);
  return tally;
}
