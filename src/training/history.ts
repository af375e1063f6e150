/** Values by name, such as `loss`, `accuracy`, `valLoss`; callbacks may add their own. */
export type Logs = Record<string, number>;

/** What `fit` resolves to: the values of each epoch. */
export interface History {
  /** The epochs that were trained, counted from 0. */
  readonly epoch: number[];
  /**
   * A list for each name, one value an epoch: `loss`, the metrics, the same of the validation data as `valLoss` and so on,
   * and what callbacks added. With several outputs also `<output>Loss`, and metrics are called `<output>Accuracy`. A value
   * that was not there in every epoch has a shorter list.
   */
  readonly history: Record<string, number[]>;
}

/** Appends the values of an epoch. */
export function record(history: History, epoch: number, logs: Logs): void {
  history.epoch.push(epoch);
  for (const [name, value] of Object.entries(logs)) {
    const list = Object.hasOwn(history.history, name) ? history.history[name] : undefined;
    if (list === undefined) history.history[name] = [value];
    else list.push(value);
  }
}
