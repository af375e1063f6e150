import { OptionError } from "../errors.ts";
import type { LayerDocument } from "../graph/document.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Provider } from "../initializers/initializer.ts";
import { checkKeys, nameOption } from "../options.ts";
import type { GruLayer, GruStateLayer, GruUnionLayer } from "./gru.ts";
import { commonOptions, Layer, type LayerOptions, type LayerSetup } from "./layer.ts";
import type { LstmLayer, LstmStateLayer, LstmUnionLayer } from "./lstm.ts";
import { Recurrent, SequenceLayer } from "./recurrent.ts";
import type { SimpleRnnLayer, SimpleRnnStateLayer, SimpleRnnUnionLayer } from "./simple-rnn.ts";

/** A layer that {@link bidirectional} takes. */
export type RecurrentLayer =
  | LstmLayer
  | LstmStateLayer
  | LstmUnionLayer
  | GruLayer
  | GruStateLayer
  | GruUnionLayer
  | SimpleRnnLayer
  | SimpleRnnStateLayer
  | SimpleRnnUnionLayer;

/** What becomes of the outputs of both directions: side by side, sum, product or mean. */
export type BidirectionalMergeMode = "concat" | "sum" | "mul" | "ave";

/** Options of {@link bidirectional}. */
export interface BidirectionalOptions<
  Wrapped extends RecurrentLayer,
  Mode extends BidirectionalMergeMode | null = "concat",
> extends LayerOptions {
  /** The layer that runs forward. Its options are copied; it gets no weights itself. */
  layer: Wrapped;
  /** The layer that runs from the end; default a copy of `layer` with `goBackwards`. */
  backwardLayer?: Wrapped;
  /** Default `"concat"`; `null` gives both outputs. */
  mergeMode?: Mode;
}

/** States of both directions: those of the forward layer, then those of the backward layer. */
export type BidirectionalStates<Wrapped extends RecurrentLayer> = Wrapped extends { readonly type: "lstm" }
  ? readonly [forwardH: SymbolicTensor, forwardC: SymbolicTensor, backwardH: SymbolicTensor, backwardC: SymbolicTensor]
  : readonly [forwardH: SymbolicTensor, backwardH: SymbolicTensor];

/** What a call of {@link bidirectional} gives, from the result of the wrapped layer. */
export type BidirectionalResult<Inner, Mode extends BidirectionalMergeMode | null> = Inner extends readonly [
  SymbolicTensor,
  ...infer States,
]
  ? Mode extends null
    ? [forward: SymbolicTensor, backward: SymbolicTensor, ...States, ...States]
    : [output: SymbolicTensor, ...States, ...States]
  : Mode extends null
    ? [forward: SymbolicTensor, backward: SymbolicTensor]
    : SymbolicTensor;

/** A recurrent layer in both directions of time. */
export interface BidirectionalLayer<Wrapped extends RecurrentLayer, Mode extends BidirectionalMergeMode | null>
  extends Layer {
  /**
   * @param x - `[batch, time, features]`
   * @param options - Initial states: those of the forward layer, then those of the backward layer.
   * @returns The output (both with `mergeMode: null`), then the states if the wrapped layer has `returnState`.
   */
  (
    x: SymbolicTensor,
    options?: { initialState?: BidirectionalStates<Wrapped> },
  ): BidirectionalResult<ReturnType<Wrapped>, Mode>;
}

const modes = ["concat", "sum", "mul", "ave"] as const;

class Bidirectional extends SequenceLayer {
  readonly states: readonly string[];
  readonly givesList: boolean;

  constructor(setup: LayerSetup, layer: Recurrent) {
    super(setup);
    const names = (side: string) => layer.states.map((name) => `${side}${name.toUpperCase()}`);
    this.states = [...names("forward"), ...names("backward")];
    this.givesList = layer.givesList || setup.options.mergeMode === null;
  }
}

function checkRecurrent(option: string, layer: unknown): Recurrent {
  if (layer instanceof Recurrent) return layer;
  const got = layer instanceof Layer ? `a layer of type ${layer.type}` : typeof layer;
  throw new OptionError(`bidirectional: ${option} must be a layer of lstm, gru or simpleRnn, got ${got}`);
}

/** The copy of a layer for a side, and where its weights come from. */
function copyOf(side: "forward" | "backward", layer: Recurrent, changed: object = {}) {
  // Numbers of layers without a name depend on what was made before: the type alone does not.
  const base = (layer.hasFixedName ? layer.name : layer.type).replace(new RegExp(`^${side}_`), "");
  const document = layer.document(`${side}_${base}`);
  const providers: Record<string, Provider> = {};
  for (const [weight, provider] of Object.entries(layer.providers)) providers[`${document.name}/${weight}`] = provider;
  // As Keras: masked steps of one side must not repeat what the other side sees at another time.
  const options = { ...document.options, zeroOutputForMask: document.options.returnSequences ?? false, ...changed };
  return { document: { ...document, options }, providers };
}

function checkPair(forward: LayerDocument, backward: LayerDocument, mode: BidirectionalMergeMode | null): void {
  const [one, other] = [forward.options, backward.options];
  if (one.goBackwards === other.goBackwards) {
    throw new OptionError(
      `bidirectional: layer and backwardLayer must differ in goBackwards, both have ${String(one.goBackwards)}`,
    );
  }
  for (const option of ["returnSequences", "returnState"]) {
    if (one[option] !== other[option]) {
      const got = `${String(one[option])} and ${String(other[option])}`;
      throw new OptionError(`bidirectional: layer and backwardLayer must agree on ${option}, got ${got}`);
    }
  }
  if ((forward.type === "lstm") !== (backward.type === "lstm")) {
    throw new OptionError("bidirectional: layer and backwardLayer must have equally many states");
  }
  if (one.units !== other.units && mode !== "concat" && mode !== null) {
    throw new OptionError(
      `bidirectional: mergeMode ${mode} needs layers of the same units, got ${String(one.units)} and ` +
        `${String(other.units)}: take "concat" or null`,
    );
  }
}

/**
 * A recurrent layer in both directions of time. The output of the backward layer is turned round, so that both belong to the
 * same step. Masked steps give zeros if the layer returns sequences.
 *
 * It reads its whole input: use it in encoders; a decoder with it cannot generate.
 *
 * @param options - The layer and how both outputs are merged.
 * @returns A layer from `[batch, time, features]` to `[batch, time, 2 units]` or `[batch, 2 units]` (`units` for the merge
 * modes `sum`, `mul` and `ave`), with the weights of the forward layer, then those of the backward layer.
 * @throws OptionError if an option is unknown or the layers do not fit each other.
 * @see `keras.layers.Bidirectional`
 */
export function bidirectional<Wrapped extends RecurrentLayer, Mode extends BidirectionalMergeMode | null = "concat">(
  options: BidirectionalOptions<Wrapped, Mode>,
): BidirectionalLayer<Wrapped, Mode> {
  checkKeys("bidirectional", options, [...commonOptions, "layer", "backwardLayer", "mergeMode"]);
  const layer = checkRecurrent("layer", options.layer);
  const given = options.mergeMode === undefined ? "concat" : options.mergeMode;
  const mergeMode = given === null ? null : nameOption("bidirectional", "mergeMode", given, modes);
  const forward = copyOf("forward", layer);
  const backward =
    options.backwardLayer === undefined
      ? copyOf("backward", layer, { goBackwards: true })
      : copyOf("backward", checkRecurrent("backwardLayer", options.backwardLayer));
  checkPair(forward.document, backward.document, mergeMode);
  const setup: LayerSetup = {
    type: "bidirectional",
    common: options,
    options: { layer: { ...forward.document }, backwardLayer: { ...backward.document }, mergeMode },
    providers: { ...forward.providers, ...backward.providers },
  };
  return new Bidirectional(setup, layer) as unknown as BidirectionalLayer<Wrapped, Mode>;
}
