import { OptionError } from "../../errors.ts";
import type { SymbolicTensor } from "../../graph/tensor.ts";
import { lstm } from "../../layers/lstm.ts";
import { concatenate } from "../../layers/merge.ts";

/** Kinds of recurrent layers. */
export const cells = ["lstm", "gru", "simple"] as const;

/** A kind of recurrent layer: long short-term memory, gated recurrent unit, or the simple one. */
export type Cell = (typeof cells)[number];

/** What all kinds of recurrent layers know. */
export interface RecurrentSetup {
  readonly name: string;
  readonly units: number;
  readonly dropout: number;
  readonly recurrentDropout: number;
  readonly returnSequences: boolean;
  readonly goBackwards?: boolean;
}

/** Output and states after the last step. */
type Outputs = [output: SymbolicTensor, ...states: SymbolicTensor[]];

/** Runs a layer over a sequence, from given states or zeros. */
export function recurrentLayer(
  cell: Cell,
  setup: RecurrentSetup,
  x: SymbolicTensor,
  initial: readonly SymbolicTensor[] = [],
): Outputs {
  if (cell !== "lstm") {
    throw new OptionError(`Seq2Seq.recurrent: cell "${cell}" comes with a later version: use "lstm" for now`);
  }
  const [h, c] = initial;
  const options = h === undefined || c === undefined ? {} : { initialState: [h, c] as const };
  return lstm({ ...setup, returnState: true })(x, options);
}

/** A layer of the encoder; read in both directions, outputs and states are those of both side by side. */
export function encoderLayer(cell: Cell, setup: RecurrentSetup, bidirectional: boolean, x: SymbolicTensor): Outputs {
  if (!bidirectional) return recurrentLayer(cell, setup, x);
  if (setup.returnSequences) {
    throw new OptionError(
      "Seq2Seq.recurrent: several bidirectional layers come with a later version: use layers: 1 for now",
    );
  }
  const forward = recurrentLayer(cell, { ...setup, name: `${setup.name}Forward` }, x);
  const backward = recurrentLayer(cell, { ...setup, name: `${setup.name}Backward`, goBackwards: true }, x);
  const [output, ...states] = forward.map((tensor, place) => concatenate()([tensor, backward[place]!]));
  return [output!, ...states];
}
