/** The graph document of docs/graph.md. */
import type { Dimension } from "../native-interface.ts";

/** A value that JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** All options of a layer, defaults included. */
export type LayerOptionsDocument = { readonly [key: string]: Json };

/** Options of a call of a layer. */
export type CallDocument = { readonly [key: string]: Json };

/** A layer: once, however often it is called. */
export interface LayerDocument {
  readonly name: string;
  readonly type: string;
  readonly trainable: boolean;
  readonly options: LayerOptionsDocument;
}

/** A node and which of its outputs. */
export type ValueReference = readonly [node: number, output: number];

/** A call of a layer. */
export interface NodeDocument {
  readonly layer: number;
  readonly inputs: readonly ValueReference[];
  /** What the call says besides its inputs; only calls of attention layers do. */
  readonly call?: CallDocument;
}

/** A whole model. */
export interface GraphDocument {
  readonly format: "sconce-graph";
  readonly version: 1;
  readonly layers: readonly LayerDocument[];
  readonly nodes: readonly NodeDocument[];
  readonly inputs: readonly ValueReference[];
  readonly outputs: readonly ValueReference[];
}

/** A weight as shape inference describes it. */
export interface WeightSpecification {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initializer: Json;
  readonly trainable: boolean;
}

/** `[batch, 20, 256]`, for messages. */
export function describeShape(shape: readonly Dimension[]): string {
  return `[${shape.join(", ")}]`;
}
