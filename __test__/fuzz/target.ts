import type { Random } from "./random.ts";

/** Something that reads what comes from anywhere. */
export interface Target {
  /** A mutated input. */
  make(random: Random): Uint8Array;
  /** Reads it; only typed errors are allowed. */
  read(input: Uint8Array): unknown;
}

/** Makes a target, with a folder for its files. */
export type MakeTarget = (folder: string) => Promise<Target>;
