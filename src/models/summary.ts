import type { ModelGraph } from "../graph/build-document.ts";
import { describeShape } from "../graph/document.ts";
import type { LayerNode } from "../graph/node.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Layer } from "../layers/layer.ts";

/** Options of `Model.summary`. */
export interface SummaryOptions {
  /** Takes each line; default `console.log`. */
  print?: (line: string) => void;
}

/** `1,234,567` */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1.95 MiB` */
function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(count) / 10), units.length);
  return `${(count / 1024 ** power).toFixed(2)} ${units[power - 1]}`;
}

function parameters(layers: Iterable<Layer>, trainable: boolean): number {
  let count = 0;
  for (const layer of layers) if (layer.trainable === trainable) count += layer.countParams();
  return count;
}

/** A call of a layer, or the nodes of a call of one that is made of others. */
interface Call {
  readonly layer: Layer;
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
}

/** The calls of a graph, in the order in which they end. */
function calls(nodes: readonly LayerNode[], outputs: readonly SymbolicTensor[]): Call[] {
  const used = new Set(outputs);
  for (const { inputs, scope } of nodes) for (const x of inputs) if (x.node.scope !== scope) used.add(x);
  return nodes.flatMap((node, index): Call[] => {
    const { scope } = node;
    if (scope === undefined) return [node];
    const own = nodes.filter((other) => other.scope === scope);
    // A weight stands where it was made: in the first call.
    if (own.at(-1) !== nodes[index]) return [];
    const inputs = own.flatMap((part) => part.inputs).filter((x) => x.node.scope?.layer !== scope.layer);
    const made = own.flatMap((part) => part.outputs).filter((x) => used.has(x) && x.node.layer.type !== "weight");
    if (made.length === 0) return [];
    return [{ layer: scope.layer, inputs: [...new Set(inputs)], outputs: made }];
  });
}

/** The lines of a summary: a table of calls, then totals. */
export function summaryLines(name: string, { nodes, layers, names, inputs, outputs }: ModelGraph): string[] {
  const counted = new Set<Layer>();
  const named = (layer: Layer) => names.get(layer) ?? layer.name;
  const rows = calls(nodes, outputs).map((node) => {
    const { layer } = node;
    const again = counted.has(layer);
    counted.add(layer);
    const count = layer.countParams();
    const from = node.inputs.map(({ node: source, output }) => {
      const label = named(source.scope?.layer ?? source.layer);
      return source.scope === undefined && source.outputs.length > 1 ? `${label}[${output}]` : label;
    });
    return [
      `${named(layer)} (${layer.type})`,
      node.outputs.map(({ signature }) => describeShape(signature.shape.map(shown))).join(", "),
      again ? "shared" : grouped(count),
      again ? "" : bytes(4 * count),
      from.join(", "),
    ];
  });
  const header = ["Layer (type)", "Output shape", "Parameters", "Bytes", "Connected to"];
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 2 || column === 3 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join("  ")
      .trimEnd();
  const rule = "─".repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  const total = (label: string, count: number) => `${label}: ${grouped(count)} (${bytes(4 * count)})`;
  const trainable = parameters(layers, true);
  const fixed = parameters(layers, false);
  const listed = (tensors: typeof inputs) =>
    tensors.map(({ node }) => named(node.scope?.layer ?? node.layer)).join(", ");
  return [
    `Model ${name}: ${listed(inputs)} → ${listed(outputs)}`,
    rule,
    line(header),
    rule,
    ...rows.map(line),
    rule,
    total("Total parameters", trainable + fixed),
    total("Trainable parameters", trainable),
    total("Non-trainable parameters", fixed),
  ];
}

/** Unknown sizes other than the batch are shown as `?`. */
function shown(dimension: number | string): number | string {
  return typeof dimension === "number" || dimension === "batch" ? dimension : "?";
}
