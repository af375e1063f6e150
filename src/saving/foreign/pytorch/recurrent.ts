import { FormatError, ShapeError } from "../../../errors.ts";
import type { ForeignArray, ForeignWeight, WantedLayer } from "../weights.ts";
import type { TorchKind, TorchModule } from "./modules.ts";

/** Kind of module that fits a type of layer, and where each gate of Keras stands among those of PyTorch. */
const kinds: Readonly<Record<string, { kind: TorchKind; gates: readonly number[] }>> = {
  // Both: input, forget, cell, output.
  lstm: { kind: "lstm", gates: [0, 1, 2, 3] },
  // Keras: update, reset, new; PyTorch: reset, update, new.
  gru: { kind: "gru", gates: [1, 0, 2] },
  simpleRnn: { kind: "rnn", gates: [0] },
};

/**
 * The weights of a recurrent module in Keras' layout: kernels `[in, gates x units]`, for an LSTM and a simple RNN one bias, the
 * sum of PyTorch's two, for a GRU both.
 *
 * @param reverse - For a layer with one direction: the one that runs from the end.
 * @returns `undefined` if the layer is of another kind.
 * @throws ShapeError if directions do not fit; FormatError if a parameter is missing.
 */
export function recurrentWeights(
  where: string,
  module: TorchModule,
  layer: WantedLayer,
  reverse: boolean,
): ForeignWeight[] | undefined {
  const both = layer.type === "bidirectional";
  const fitting = Object.values(kinds).find(({ kind }) => kind === module.kind);
  if (fitting === undefined || !(both || kinds[layer.type] === fitting)) return undefined;
  const hasReverse = module.parameters.has("weight_ih_l0_reverse");
  if (both !== hasReverse && !reverse) {
    const got = hasReverse ? "both directions" : "one direction";
    throw new ShapeError(
      `${where}: layer ${layer.name} (${layer.type}): module ${JSON.stringify(module.prefix)} has ${got}`,
    );
  }
  // GRUs that apply the reset gate before the product have one bias, but no counterpart in PyTorch.
  if (module.kind === "gru") {
    const bias = layer.weights.find(({ name }) => /bias$/i.test(name));
    if (bias?.shape.length === 1) {
      throw new ShapeError(`${where}: layer ${layer.name} (${layer.type}): a GRU of PyTorch needs resetAfter: true`);
    }
  }
  const directions = both ? ["", "_reverse"] : [reverse ? "_reverse" : ""];
  return directions.flatMap((direction) => oneDirection(where, module, direction, fitting.gates));
}

function oneDirection(
  where: string,
  module: TorchModule,
  direction: string,
  gates: readonly number[],
): ForeignWeight[] {
  const name = (part: string) =>
    `${module.prefix === "" ? "" : `${module.prefix}.`}${part}_l${module.depth}${direction}`;
  const find = (part: string): ForeignArray | undefined => module.parameters.get(`${part}_l0${direction}`);
  const [input, state] = [find("weight_ih"), find("weight_hh")];
  if (input === undefined || state === undefined) {
    throw new FormatError(`${where}: ${name(input === undefined ? "weight_ih" : "weight_hh")} is missing`);
  }
  const found = [kernel(name("weight_ih"), input, gates), kernel(name("weight_hh"), state, gates)];
  const [inputBias, stateBias] = [find("bias_ih"), find("bias_hh")];
  if (inputBias === undefined || stateBias === undefined) return found;
  if (inputBias.shape.join() !== stateBias.shape.join()) {
    throw new FormatError(`${where}: ${name("bias_ih")} and ${name("bias_hh")} differ in shape`);
  }
  const from = `${name("bias_ih")} and ${name("bias_hh")}`;
  const size = inputBias.shape[0] ?? 0;
  const read = async () =>
    [reordered(await inputBias.read(), gates), reordered(await stateBias.read(), gates)] as const;
  if (module.kind === "gru") {
    const make = async () => {
      const result = new Float32Array(2 * size);
      for (const [index, values] of (await read()).entries()) result.set(values, index * size);
      return result;
    };
    return [...found, { shape: [2, size], from, make }];
  }
  const make = async () => {
    const [first, second] = await read();
    return first.map((value, index) => value + second[index]!);
  };
  return [...found, { shape: [size], from, make }];
}

/** The blocks of a vector in the order of Keras' gates. */
function reordered(values: Float32Array, gates: readonly number[]): Float32Array<ArrayBuffer> {
  const units = values.length / gates.length;
  const result = new Float32Array(values.length);
  for (const [place, gate] of gates.entries())
    result.set(values.subarray(gate * units, (gate + 1) * units), place * units);
  return result;
}

/** `[gates x units, in]` as `[in, gates x units]` with Keras' order of gates. */
function kernel(from: string, array: ForeignArray, gates: readonly number[]): ForeignWeight {
  const [rows = 0, columns = 0] = array.shape;
  const units = rows / gates.length;
  return {
    shape: [columns, rows],
    from: `${from}, transposed,`,
    async make() {
      const values = await array.read();
      const result = new Float32Array(values.length);
      for (const [place, gate] of gates.entries()) {
        for (let unit = 0; unit < units; unit++) {
          const to = place * units + unit;
          const start = (gate * units + unit) * columns;
          for (let column = 0; column < columns; column++) result[column * rows + to] = values[start + column]!;
        }
      }
      return result;
    },
  };
}
