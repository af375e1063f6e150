import { FormatError } from "../../../errors.ts";
import type { ForeignArray } from "../weights.ts";

/** What a module is by its parameters. A linear layer and an embedding are both tables; only an embedding never has a bias. */
export type TorchKind = "table" | "normalization" | "lstm" | "gru" | "rnn";

/** A module of a `state_dict`, or one layer of a stacked recurrent one. */
export interface TorchModule {
  readonly prefix: string;
  readonly kind: TorchKind;
  /** Which layer of a stacked module, from 0. */
  readonly depth: number;
  /** By their names in a module of one layer, such as `weight_ih_l0` and `weight_ih_l0_reverse`. */
  readonly parameters: ReadonlyMap<string, ForeignArray>;
}

const recurrent = /^(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(\d+)(_reverse)?$/;
const gates: Readonly<Record<number, TorchKind>> = { 1: "rnn", 3: "gru", 4: "lstm" };

/**
 * Groups the tensors of a `state_dict` by module.
 *
 * @returns The modules in the order of their names, numbers in them counted as numbers.
 * @throws FormatError if a tensor belongs to no module that is known.
 */
export function findModules(where: string, tensors: ReadonlyMap<string, ForeignArray>): TorchModule[] {
  const groups = new Map<string, { prefix: string; depth: number; parameters: Map<string, ForeignArray> }>();
  for (const [name, array] of tensors) {
    const dot = name.lastIndexOf(".");
    const prefix = name.slice(0, Math.max(0, dot));
    const match = recurrent.exec(name.slice(dot + 1));
    const depth = match === null ? 0 : Number(match[2]);
    const parameter = match === null ? name.slice(dot + 1) : `${match[1]}_l0${match[3] ?? ""}`;
    const key = `${prefix} ${depth} ${match === null}`;
    const group = groups.get(key) ?? { prefix, depth, parameters: new Map<string, ForeignArray>() };
    group.parameters.set(parameter, array);
    groups.set(key, group);
  }
  return [...groups.values()]
    .map((group) => ({ ...group, kind: kindOf(where, group.prefix, group.parameters) }))
    .sort((a, b) => a.prefix.localeCompare(b.prefix, "en", { numeric: true }) || a.depth - b.depth);
}

function kindOf(where: string, prefix: string, parameters: ReadonlyMap<string, ForeignArray>): TorchKind {
  const state = parameters.get("weight_hh_l0")?.shape;
  if (state?.length === 2 && !parameters.has("weight_hr_l0")) {
    const kind = gates[state[0]! / state[1]!];
    if (kind !== undefined) return kind;
  }
  const rank = parameters.get("weight")?.shape.length;
  const others = [...parameters.keys()].filter((name) => name !== "weight" && name !== "bias");
  if (others.length === 0 && rank === 2) return "table";
  if (others.length === 0 && rank === 1) return "normalization";
  const names = [...parameters.keys()].slice(0, 6).join(", ");
  throw new FormatError(
    `${where}: module ${JSON.stringify(prefix)} with ${names} is none of Embedding, Linear, LayerNorm, LSTM, GRU and RNN; ` +
      "leave it out of the state_dict",
  );
}
