import type { NdArray } from "../data/ndarray.ts";
import { OptionError } from "../errors.ts";
import { replay } from "../graph/collect.ts";
import { SymbolicTensor } from "../graph/tensor.ts";
import { inputOf, unknownSize } from "../layers/input.ts";
import { checkName } from "../layers/layer.ts";
import type { Dimension } from "../native-interface.ts";
import { checkKeys } from "../options.ts";
import type { BatchData, ModelData } from "../training/data.ts";
import type { PredictOptions } from "../training/options.ts";
import { Model } from "./model.ts";

/** Options of {@link model}. */
export interface ModelOptions {
  /**
   * Tensors that stand for data, in the order of the data: of `input`, or any tensors, which are then replaced by inputs of
   * their shape.
   */
  inputs: SymbolicTensor | readonly SymbolicTensor[];
  /** Tensors that are computed from the inputs. */
  outputs: SymbolicTensor | readonly SymbolicTensor[];
  /** Default `"model"`. */
  name?: string;
}

/** A model with one output. */
export interface SingleOutputModel extends Model {
  /** @param inputs - Tensors in the place of the model's inputs. */
  (inputs: SymbolicTensor | readonly SymbolicTensor[]): SymbolicTensor;
  predict(data: BatchData, options?: PredictOptions): Promise<NdArray[]>;
  predict(x: ModelData, options?: PredictOptions): Promise<NdArray>;
}

/** A model with a list of outputs. */
export interface MultiOutputModel extends Model {
  /** @param inputs - Tensors in the place of the model's inputs. */
  (inputs: SymbolicTensor | readonly SymbolicTensor[]): SymbolicTensor[];
  predict(data: BatchData, options?: PredictOptions): Promise<NdArray[][]>;
  predict(x: ModelData, options?: PredictOptions): Promise<NdArray[]>;
}

function tensors(option: string, value: unknown): readonly SymbolicTensor[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw new OptionError(`model: ${option} must not be empty`);
  for (const [index, tensor] of list.entries()) {
    if (!(tensor instanceof SymbolicTensor)) {
      throw new OptionError(`model: ${option}[${index}] must be a tensor from input() or from a layer`);
    }
  }
  return list as readonly SymbolicTensor[];
}

/**
 * A model of the layers between input tensors and output tensors. Over existing tensors or layers it shares their weights.
 *
 * @param options - Inputs and outputs.
 * @returns A model; called on tensors it gives what its layers make of them.
 * @throws OptionError if an option is unknown; GraphError if the outputs depend on an input that is not given, or two
 * layers have one name.
 * @see `keras.Model`
 */
export function model(options: ModelOptions & { outputs: SymbolicTensor }): SingleOutputModel;
export function model(options: ModelOptions & { outputs: readonly SymbolicTensor[] }): MultiOutputModel;
export function model(options: ModelOptions): SingleOutputModel | MultiOutputModel;
export function model(options: ModelOptions): SingleOutputModel | MultiOutputModel {
  checkKeys("model", options, ["inputs", "outputs", "name"]);
  const name = options.name === undefined ? "model" : checkName("model", options.name);
  const given = tensors("inputs", options.inputs);
  let outputs = tensors("outputs", options.outputs);
  const replacements = new Map<SymbolicTensor, SymbolicTensor>();
  // A size that follows from others is one by itself where a model begins.
  const symbols = new Map<string, Dimension>();
  const independent = (dimension: Dimension): Dimension => {
    if (typeof dimension === "number" || !dimension.startsWith("=")) return dimension;
    const symbol = symbols.get(dimension) ?? unknownSize();
    symbols.set(dimension, symbol);
    return symbol;
  };
  for (const tensor of given) {
    if (tensor.node.layer.type === "input") continue;
    replacements.set(tensor, inputOf(tensor.signature.shape.map(independent), tensor.dtype));
  }
  if (replacements.size > 0) outputs = replay(outputs, replacements);
  const inputs = given.map((tensor) => replacements.get(tensor) ?? tensor);
  const result = new Model(name, inputs, Array.isArray(options.outputs) ? outputs : outputs[0]!);
  return result as unknown as SingleOutputModel | MultiOutputModel;
}
