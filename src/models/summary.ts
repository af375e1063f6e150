import type { ModelGraph } from "../graph/build-document.ts";
import { describeShape } from "../graph/document.ts";
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

/** The lines of a summary: a table of calls, then totals. */
export function summaryLines(name: string, { nodes, layers, names, inputs, outputs }: ModelGraph): string[] {
  const counted = new Set<Layer>();
  const rows = nodes.map((node) => {
    const { layer } = node;
    const again = counted.has(layer);
    counted.add(layer);
    const count = layer.countParams();
    const from = node.inputs.map(({ node: source, output }) => {
      const label = names.get(source.layer)!;
      return source.outputs.length > 1 ? `${label}[${output}]` : label;
    });
    return [
      `${names.get(layer)!} (${layer.type})`,
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
  const listed = (tensors: typeof inputs) => tensors.map(({ node }) => names.get(node.layer)!).join(", ");
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
