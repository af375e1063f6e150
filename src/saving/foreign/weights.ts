import { setImmediate } from "node:timers/promises";
import { ShapeError } from "../../errors.ts";
import type { Layer } from "../../layers/layer.ts";

/** Numbers in a file, whose shape is known before they are read. */
export interface ForeignArray {
  readonly shape: readonly number[];
  /** Reads them. @throws FormatError if they are damaged. */
  read(): Promise<Float32Array<ArrayBuffer>>;
}

/** A layer whose weights are wanted. */
export interface WantedLayer {
  readonly name: string;
  /** Type as in the graph document, such as `"lstm"`. */
  readonly type: string;
  /** Its options in the graph document. */
  readonly options: object;
  /** In Keras' order and layouts. */
  readonly weights: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** A layer of a model, under its name there. */
export function wantedLayer({ type, options, weights }: Layer, name: string): WantedLayer {
  return { name, type, options, weights };
}

/** How the values of a weight come about. */
export interface ForeignWeight {
  /** Shape that {@link make} gives, in Keras' layout. */
  readonly shape: readonly number[];
  /** Where they come from, for messages. */
  readonly from: string;
  make(): Promise<Float32Array<ArrayBuffer>>;
}

/** What was found for a layer: one item for each of its weights. */
export interface FoundLayer {
  readonly layer: WantedLayer;
  readonly weights: readonly ForeignWeight[];
}

/** A weight that is in a file as it is wanted. */
export function asItIs(from: string, array: ForeignArray): ForeignWeight {
  return { shape: array.shape, from, make: () => array.read() };
}

/** Throws unless all that was found has the shapes that are wanted. */
export function checkFound(where: string, { layer, weights }: FoundLayer): void {
  const shown = (shape: readonly number[]) => `[${shape.join(", ")}]`;
  if (weights.length !== layer.weights.length) {
    const expected = layer.weights.map(({ name, shape }) => `${name} ${shown(shape)}`).join(", ");
    const got = weights.map(({ from, shape }) => `${from} ${shown(shape)}`).join(", ");
    throw new ShapeError(
      `${where}: layer ${layer.name} (${layer.type}): expected ${layer.weights.length} weights (${expected || "none"}), ` +
        `the file has ${weights.length} (${got || "none"})`,
    );
  }
  for (const [index, { name, shape }] of layer.weights.entries()) {
    const found = weights[index]!;
    if (found.shape.join() !== shape.join()) {
      throw new ShapeError(
        `${where}: layer ${layer.name} (${layer.type}): expected ${name} ${shown(shape)}, got ${found.from} ${shown(found.shape)}`,
      );
    }
  }
}

/** The values of all weights of a layer; other work of the process gets its turn in between. */
export async function readFound({ weights }: FoundLayer, signal: AbortSignal | undefined): Promise<Float32Array[]> {
  const values: Float32Array[] = [];
  for (const weight of weights) {
    signal?.throwIfAborted();
    values.push(await weight.make());
    await setImmediate();
  }
  return values;
}
