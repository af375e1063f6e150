import type { DatasetPosition } from "../data/dataset-iterator.ts";
import type { CallbackState } from "./callbacks/callback.ts";
import type { History } from "./history.ts";
import type { BatchSource } from "./source.ts";
import type { TallyState } from "./tally.ts";

/** What must be the same in a run and in the one that resumes it. */
export type RunIdentity = BatchSource["identity"];

/** Where a run is, weights and optimiser state apart. */
export interface TrainingState {
  /** The epoch, counted from 0. */
  readonly epoch: number;
  /** Steps of it that are done. */
  readonly step: number;
  /** Updates of the weights in this run. */
  readonly updates: number;
  /** Whether the epoch has begun; if not, everything up to it is over. */
  readonly begun: boolean;
  /** The batch that comes next. */
  readonly data: DatasetPosition;
  /** Sums over the steps of the epoch. */
  readonly tally: TallyState;
  readonly history: History;
  readonly callbacks: readonly (CallbackState | null)[];
  /** The learning rate if it is constant, otherwise `null`. */
  readonly learningRate: number | null;
}
