import { GraphError, OptionError } from "../../errors.ts";
import { SymbolicTensor } from "../../graph/tensor.ts";
import type { DataType, Dimension } from "../../native-interface.ts";
import { nameOption } from "../../options.ts";

/** How tokens are given to a model: as ids, or as vectors with a single 1. */
export type Feed = "ids" | "oneHot";

/** One of a model's inputs or outputs: its name, its place, or the tensor itself. */
export type TensorChoice = string | number | SymbolicTensor;

/** What is known of a tensor at a model's border. */
export interface BorderTensor {
  readonly name: string;
  readonly shape: readonly Dimension[];
  readonly dtype: DataType;
  readonly masked?: boolean;
}

/** The inputs and outputs of a model. */
export interface Border {
  readonly inputs: readonly BorderTensor[];
  readonly outputs: readonly BorderTensor[];
}

/** Which part each input and output of a model plays. */
export interface Roles {
  /** Place of the encoder's input. */
  readonly encoderInput: number;
  /** Place of the decoder's input. */
  readonly decoderInput: number;
  /** Place of the output with the probabilities of the next token. */
  readonly output: number;
  /** How source tokens are given. */
  readonly sourceFeed: Feed;
  /** How target tokens are given. */
  readonly feed: Feed;
  /** Whether padding is masked at the output. */
  readonly masked: boolean;
}

/** What the user said of the roles. */
export interface RoleOptions {
  encoderInput?: TensorChoice;
  decoderInput?: TensorChoice;
  output?: TensorChoice;
  feed?: Feed;
}

/** Sizes of the vocabularies. */
export interface VocabularySizes {
  readonly source: number;
  readonly target: number;
}

const where = "Seq2Seq.fromModel";

/**
 * Finds the encoder's input, the decoder's input and the output of a model.
 *
 * @param border - The model's inputs and outputs.
 * @param options - What is known already.
 * @param sizes - Sizes of the vocabularies.
 * @param isCausal - Whether an output could be decoded step by step along an input.
 * @throws OptionError if a choice does not exist or does not fit; GraphError if roles are missing or ambiguous.
 */
export function findRoles(
  border: Border,
  options: RoleOptions,
  sizes: VocabularySizes,
  isCausal: (decoderInput: number, output: number) => boolean,
): Roles {
  const { inputs, outputs } = border;
  if (inputs.length !== 2) {
    throw new GraphError(`${where}: expected a model with 2 inputs, encoder and decoder, got ${list(inputs)}`);
  }
  const output = findOutput(outputs, options.output, sizes.target);
  const decoderInput = findDecoder(border, options, output, isCausal);
  const encoderInput =
    options.encoderInput === undefined ? 1 - decoderInput : choose(inputs, options.encoderInput, "encoderInput");
  if (encoderInput === decoderInput) {
    throw new OptionError(`${where}: encoderInput and decoderInput are both ${inputs[decoderInput]!.name}`);
  }
  const feed = feedOf(inputs[decoderInput]!, sizes.target, "decoder", "target");
  if (options.feed !== undefined && nameOption(where, "feed", options.feed, ["ids", "oneHot"]) !== feed) {
    throw new OptionError(
      `${where}: feed is ${options.feed}, but the decoder's input ${describe(inputs[decoderInput]!)} takes ${feed}`,
    );
  }
  const sourceFeed = feedOf(inputs[encoderInput]!, sizes.source, "encoder", "source");
  return { encoderInput, decoderInput, output, sourceFeed, feed, masked: outputs[output]!.masked === true };
}

function findOutput(outputs: readonly BorderTensor[], choice: TensorChoice | undefined, size: number): number {
  const fits = ({ shape, dtype }: BorderTensor) => dtype === "float32" && shape.length === 3 && shape[2] === size;
  const expected = `[batch, time, ${size}] with a probability for each of the ${size} tokens of the target vocabulary`;
  if (choice !== undefined) {
    const index = choose(outputs, choice, "output");
    if (!fits(outputs[index]!)) {
      throw new OptionError(`${where}: expected an output ${expected}, got ${describe(outputs[index]!)}`);
    }
    return index;
  }
  const candidates = outputs.flatMap((output, index) => (fits(output) ? [index] : []));
  if (candidates.length === 0)
    throw new GraphError(`${where}: no output is ${expected}: the outputs are ${list(outputs)}`);
  if (candidates.length > 1) {
    throw new GraphError(
      `${where}: outputs ${candidates.join(" and ")} are both ${expected}: say which with the option output`,
    );
  }
  return candidates[0]!;
}

/** The output's time is the decoder's; where names of sizes do not tell, the graph does. */
function findDecoder(
  { inputs, outputs }: Border,
  options: RoleOptions,
  output: number,
  isCausal: (decoderInput: number, output: number) => boolean,
): number {
  if (options.decoderInput !== undefined) return choose(inputs, options.decoderInput, "decoderInput");
  if (options.encoderInput !== undefined) return 1 - choose(inputs, options.encoderInput, "encoderInput");
  const time = outputs[output]!.shape[1];
  let candidates = [0, 1].filter((index) => typeof time === "string" && inputs[index]!.shape[1] === time);
  if (candidates.length !== 1) candidates = [0, 1].filter((index) => isCausal(index, output));
  if (candidates.length === 1) return candidates[0]!;
  const problem = candidates.length === 0 ? "neither input can be" : "both inputs could be";
  throw new GraphError(`${where}: ${problem} the decoder's of ${list(inputs)}: say which with the option decoderInput`);
}

function feedOf(input: BorderTensor, size: number, part: string, side: string): Feed {
  const { shape, dtype } = input;
  if (dtype === "int32" && shape.length === 2) return "ids";
  if (dtype === "float32" && shape.length === 3 && shape[2] === size) return "oneHot";
  throw new GraphError(
    `${where}: expected the ${part}'s input to take ids, int32 [batch, time], or one-hot vectors, float32 [batch, time, ${size}] ` +
      `for the ${size} tokens of the ${side} vocabulary, got ${describe(input)}`,
  );
}

function choose(tensors: readonly BorderTensor[], choice: TensorChoice, option: string): number {
  const wanted = choice instanceof SymbolicTensor ? choice.name : choice;
  const found = tensors.flatMap(({ name }, index) => (index === wanted || name === wanted ? [index] : []));
  if (found.length === 1) return found[0]!;
  const problem = found.length === 0 ? "is none of" : "is more than one of";
  throw new OptionError(`${where}: ${option} ${JSON.stringify(wanted)} ${problem} ${list(tensors)}`);
}

function describe({ name, shape, dtype }: BorderTensor): string {
  return `${name} ${dtype} [${shape.join(", ")}]`;
}

function list(tensors: readonly BorderTensor[]): string {
  return tensors.length === 0 ? "none" : tensors.map(describe).join("; ");
}
