import type { Callback } from "../../src/index.ts";

/** A callback that notes how many batches each epoch has. */
export function batchCounter(): { counts: number[]; counter: Callback } {
  const counts: number[] = [];
  let batches = 0;
  const counter: Callback = {
    onEpochBegin() {
      batches = 0;
    },
    onBatchEnd() {
      batches += 1;
    },
    onEpochEnd() {
      counts.push(batches);
    },
  };
  return { counts, counter };
}
