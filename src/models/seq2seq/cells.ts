import type { SymbolicTensor } from "../../graph/tensor.ts";
import { type AttentionForm, attentionRnn } from "../../layers/attention-rnn.ts";
import { bidirectional } from "../../layers/bidirectional.ts";
import { gru } from "../../layers/gru.ts";
import { lstm } from "../../layers/lstm.ts";
import { concatenate } from "../../layers/merge.ts";
import { simpleRnn } from "../../layers/simple-rnn.ts";
import { spatialDropout1d } from "../../layers/spatial-dropout.ts";

/** A kind of recurrent layer: long short-term memory, gated recurrent unit, or the simple one without gates. */
export type Cell = "lstm" | "gru" | "simple";

/** Kinds of recurrent layers. */
export const cells = ["lstm", "gru", "simple"] as const satisfies readonly Cell[];

/** How a recurrent decoder looks at the source. */
export type SeqAttention = "none" | "dot" | "luong" | "bahdanau";

/** Ways of it. */
export const seqAttentions = ["none", "dot", "luong", "bahdanau"] as const satisfies readonly SeqAttention[];

/** The forms of `layers.attentionRnn`; one without attention is never asked for. */
export const forms: Readonly<Record<SeqAttention, AttentionForm>> = {
  none: "general",
  dot: "dot",
  luong: "general",
  bahdanau: "bahdanau",
};

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

/** What decoders with attention are made of. */
interface AttentionSetup {
  readonly name: string;
  readonly cell: Cell;
  readonly units: number;
  readonly attention: AttentionForm;
  readonly dropout: number;
  readonly recurrentDropout: number;
}

/** All layers of the decoder, of which the last looks at the steps of the encoder and its output is fed to the first. */
export function attentionDecoder(
  setup: AttentionSetup & { readonly layers: number },
  x: SymbolicTensor,
  memory: SymbolicTensor,
  initialState: readonly SymbolicTensor[],
): SymbolicTensor {
  const { cell, ...options } = setup;
  const layer = attentionRnn({ ...options, cell: cell === "gru" ? "gru" : "lstm", returnSequences: true });
  return layer(x, memory, { initialState });
}

/** A layer of the decoder that looks at the steps of the encoder, from given states. */
export function attentionDecoderLayer(
  setup: AttentionSetup,
  x: SymbolicTensor,
  memory: SymbolicTensor,
  initialState: readonly SymbolicTensor[],
): SymbolicTensor {
  const { name, dropout } = setup;
  // One choice of features for a whole sequence, as within the other recurrent layers.
  const kept = dropout === 0 ? x : spatialDropout1d({ rate: dropout, name: `${name}Dropout` })(x);
  return attentionDecoder({ ...setup, dropout: 0, layers: 1 }, kept, memory, initialState);
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
