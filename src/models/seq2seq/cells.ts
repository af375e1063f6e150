import type { SymbolicTensor } from "../../graph/tensor.ts";
import { bidirectional } from "../../layers/bidirectional.ts";
import { gru } from "../../layers/gru.ts";
import { lstm } from "../../layers/lstm.ts";
import { concatenate } from "../../layers/merge.ts";
import { simpleRnn } from "../../layers/simple-rnn.ts";

/** A kind of recurrent layer: long short-term memory, gated recurrent unit, or the simple one without gates. */
export type Cell = "lstm" | "gru" | "simple";

/** Kinds of recurrent layers. */
export const cells = ["lstm", "gru", "simple"] as const satisfies readonly Cell[];

/** What all kinds of recurrent layers know. */
export interface RecurrentSetup {
  readonly name: string;
  readonly units: number;
  readonly dropout: number;
  readonly recurrentDropout: number;
  readonly returnSequences: boolean;
}

/** Output and states after the last step. */
type Outputs = readonly [output: SymbolicTensor, ...states: SymbolicTensor[]];

function layerOf(
  cell: Cell,
  options: Omit<RecurrentSetup, "name"> & { readonly name?: string; readonly returnState: boolean },
) {
  if (cell === "lstm") return lstm(options);
  return cell === "gru" ? gru(options) : simpleRnn(options);
}

/** Calls a layer. Each kind has another number of states, which the layer checks. */
function called<Result>(
  layer: unknown,
  x: SymbolicTensor,
  options: { initialState?: readonly SymbolicTensor[] },
): Result {
  return (layer as (x: SymbolicTensor, options: object) => Result)(x, options);
}

/** A layer of the decoder, from given states. */
export function decoderLayer(
  cell: Cell,
  setup: RecurrentSetup,
  x: SymbolicTensor,
  initialState: readonly SymbolicTensor[],
): SymbolicTensor {
  return called(layerOf(cell, { ...setup, returnState: false }), x, { initialState });
}

/** A layer of the encoder; read in both directions, outputs and each state are those of both side by side. */
export function encoderLayer(cell: Cell, setup: RecurrentSetup, both: boolean, x: SymbolicTensor): Outputs {
  if (!both) return called(layerOf(cell, { ...setup, returnState: true }), x, {});
  // The layers within get names of their own.
  const { name, ...options } = setup;
  const layer = bidirectional({ name, layer: layerOf(cell, { ...options, returnState: true }) });
  const [output, ...states] = called<Outputs>(layer, x, {});
  const half = states.length / 2;
  return [output, ...states.slice(0, half).map((forward, place) => concatenate()([forward, states[half + place]!]))];
}
