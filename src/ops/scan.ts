import { GraphError, OptionError, ShapeError } from "../errors.ts";
import { buildGraph, documentOf } from "../graph/build-document.ts";
import { replay } from "../graph/collect.ts";
import type { Json } from "../graph/document.ts";
import type { LayerNode } from "../graph/node.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import { inputOf } from "../layers/input.ts";
import { booleanOption, checkKeys, integerOption } from "../options.ts";
import { checkTensor } from "./axes.ts";
import { operationLayer } from "./operation.ts";

/** Options of {@link scan}. */
export interface ScanOptions {
  /** How many steps, where there are no sequences. */
  length?: number;
  /** Whether time runs from the end; outputs keep the places of their steps. Default `false`. */
  reverse?: boolean;
  /**
   * `[batch, time]`, such as `ops.mask(x)`: at steps where it is 0 the states stay as they are, and outputs are those of the step
   * before (zeros before the first), as in Keras' recurrent layers.
   */
  mask?: SymbolicTensor;
}

/** A tensor, or several. */
export type Tensors = SymbolicTensor | readonly SymbolicTensor[];

/** Tensors like those of a caller: one, or as many. */
export type Same<T extends Tensors> = T extends SymbolicTensor ? SymbolicTensor : readonly SymbolicTensor[];

function listed(where: string, tensors: unknown): SymbolicTensor[] {
  return [tensors].flat().map((tensor: unknown) => checkTensor(where, tensor));
}

/**
 * A recurrence: `step` is called once, on tensors that stand for one step, and what it makes of them is run for each step of
 * the sequences, which are along axis 1. It may use tensors from outside, such as weights; their gradients add up.
 *
 * @param step - Gets the states and a step of each sequence, `[batch, ...]`, and gives the new states and what becomes
 * sequences. Layers with weights cannot be called in it, nor what depends on training.
 * @param initialState - The states before the first step, `[batch, ...]`: one or several.
 * @param xs - The sequences, `[batch, time, ...]`: one, several, or `null` for none.
 * @param options - Length, direction and mask.
 * @returns The states after the last step, and the sequences `[batch, time, ...]` of what `step` gave. They have no masks.
 * @throws ShapeError if shapes do not fit; OptionError if an option is wrong or `step` gives no tensors; GraphError if `step`
 * calls a layer with weights.
 * @see `keras.ops.scan`
 */
export function scan<State extends Tensors, Output extends Tensors, Xs extends Tensors | null>(
  step: (states: Same<State>, xs: Xs extends Tensors ? Same<Xs> : null) => readonly [State, Output],
  initialState: State,
  xs: Xs,
  options: ScanOptions = {},
): [states: Same<State>, outputs: Same<Output>] {
  const where = "ops.scan";
  if (typeof step !== "function") throw new OptionError(`${where}: step must be a function`);
  checkKeys(where, options, ["length", "reverse", "mask"]);
  const length = options.length === undefined ? null : integerOption(where, "length", options.length, 1);
  const reverse = booleanOption(where, "reverse", options.reverse ?? false);
  const states = listed(where, initialState);
  const sequences = xs === null ? [] : listed(where, xs);
  if (sequences.length === 0 && length === null) {
    throw new OptionError(`${where}: length must be given where there are no sequences`);
  }
  const stepOf = ({ signature: { shape, dtype } }: SymbolicTensor) => {
    if (shape.length < 2)
      throw new ShapeError(`${where}: expected sequences [batch, time, ...], got [${shape.join(", ")}]`);
    return inputOf([shape[0]!, ...shape.slice(2)], dtype);
  };
  const taken = sequences.map(stepOf);
  const carried = states.map(({ signature: { shape, dtype } }) => inputOf(shape, dtype));
  const own = <T extends Tensors>(given: T, tensors: readonly SymbolicTensor[]) =>
    (Array.isArray(given) ? tensors : tensors[0]!) as Same<T>;
  const first = inputOf(["batch"], "int32").node.serial;
  const result: unknown = step(
    own(initialState, carried),
    (xs === null ? null : own(xs as Tensors, taken)) as Xs extends Tensors ? Same<Xs> : null,
  );
  if (!Array.isArray(result) || result.length !== 2) {
    throw new OptionError(`${where}: step must return the new states and the outputs as [states, outputs]`);
  }
  const [newStates, made] = [listed(where, result[0]), listed(where, result[1])];
  if (newStates.length !== states.length) {
    throw new OptionError(`${where}: step must return ${states.length} states, got ${newStates.length}`);
  }
  const { body, captured } = bodyOf([...taken, ...carried], [...newStates, ...made], first);
  const inputs = [...sequences, ...states, ...captured];
  if (options.mask !== undefined) inputs.push(checkTensor(where, options.mask));
  const outputs = operationLayer("scan", {
    body,
    sequences: sequences.length,
    states: states.length,
    length,
    reverse,
    masked: options.mask !== undefined,
  }).apply(inputs);
  return [own(initialState, outputs.slice(0, states.length)), own(result[1] as Output, outputs.slice(states.length))];
}

/** The graph of a step; what it takes from outside becomes inputs. */
function bodyOf(
  inputs: readonly SymbolicTensor[],
  outputs: readonly SymbolicTensor[],
  first: number,
): { body: Json; captured: SymbolicTensor[] } {
  const inner = (node: LayerNode) => node.serial > first && node.layer.type !== "weight";
  const captured = new Set<SymbolicTensor>();
  const given = new Set(inputs.map(({ node }) => node));
  const visited = new Set<LayerNode>();
  const stack = [...outputs];
  for (let tensor = stack.pop(); tensor !== undefined; tensor = stack.pop()) {
    const { node } = tensor;
    if (given.has(node)) continue;
    if (!inner(node)) captured.add(tensor);
    else if (!visited.has(node)) {
      visited.add(node);
      if (node.layer.countParams() > 0) {
        throw new GraphError(
          `ops.scan: layer ${node.layer.name} has weights: steps take weights as tensors only, such as those of defineLayer`,
        );
      }
      stack.push(...node.inputs);
    }
  }
  const outside = [...captured];
  const replacements = new Map(outside.map((tensor) => [tensor, inputOf(tensor.signature.shape, tensor.dtype)]));
  const all = [...inputs, ...replacements.values()];
  const results = replay(outputs, new Map([...inputs.map((input) => [input, input] as const), ...replacements]));
  return { body: documentOf(buildGraph(all, results)) as unknown as Json, captured: outside };
}
