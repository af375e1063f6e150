import type { Logs } from "../history.ts";
import type { Trainable } from "../trainable.ts";
import type { Callback } from "./callback.ts";

/** {@link terminateOnNaN}. */
export class TerminateOnNaN implements Callback {
  /** @internal */
  onBatchEnd(_step: number, logs: Logs, model: Trainable): void {
    if (!Number.isFinite(logs.loss)) model.stopTraining = true;
  }
}

/**
 * Ends training after a step whose loss is not a finite number, as Keras does; without it `fit` rejects with a NaNLossError.
 *
 * @see Keras `TerminateOnNaN`.
 */
export function terminateOnNaN(): TerminateOnNaN {
  return new TerminateOnNaN();
}
