/** `config.json` of a saved model: what it holds, and checks of one that comes from anywhere. */
import { FormatError, OptionError, SconceError } from "../errors.ts";
import type { CallDocument, GraphDocument, LayerDocument, NodeDocument, ValueReference } from "../graph/document.ts";
import { restoreLoss } from "../losses/resolve.ts";
import { restoreMetric } from "../metrics/resolve.ts";
import type { Compilation, CompilationDocument } from "../models/compile.ts";
import { restoreOptimizer } from "../optimizers/resolve.ts";
import { checkKeys, integerOption, numberOption } from "../options.ts";

/** Names of the files in the folder of a saved model. */
export const modelFiles = {
  config: "config.json",
  weights: "model.safetensors",
  optimizer: "optimizer.safetensors",
} as const;

/** The content of `config.json`. */
export interface ModelConfig {
  readonly format: "sconce-model";
  readonly version: 1;
  /** Versions of what wrote it. */
  readonly versions: { readonly sconce: string };
  readonly name: string;
  /** Whether the model's call gives one tensor instead of a list. */
  readonly singleOutput: boolean;
  readonly graph: GraphDocument;
  /** `null` if the model was not compiled. */
  readonly compile: CompilationDocument | null;
}

type Fields = Readonly<Record<string, unknown>>;

const maximumCount = 100_000;

function fields(what: string, value: unknown): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new FormatError(`${what} must be an object`);
}

function list(what: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new FormatError(`${what} must be a list`);
  if (value.length > maximumCount)
    throw new FormatError(`${what} has ${value.length} entries, at most ${maximumCount} are read`);
  return value;
}

function text(what: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new FormatError(`${what} must be a string`);
}

function flag(what: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new FormatError(`${what} must be true or false`);
}

function index(what: string, value: unknown, below: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < below) return value;
  throw new FormatError(`${what} must be an integer from 0 to ${below - 1}`);
}

function references(what: string, value: unknown, nodes: number): ValueReference[] {
  return list(what, value).map((entry, place) => {
    const pair = list(`${what}[${place}]`, entry);
    if (pair.length !== 2) throw new FormatError(`${what}[${place}] must be a pair`);
    return [index(`${what}[${place}][0]`, pair[0], nodes), index(`${what}[${place}][1]`, pair[1], 16)];
  });
}

/**
 * A layer of a document, of which the options are not checked yet.
 *
 * @throws FormatError naming the field.
 */
export function checkLayer(what: string, value: unknown): LayerDocument {
  const layer = fields(what, value);
  return {
    name: text(`${what}.name`, layer.name),
    type: text(`${what}.type`, layer.type),
    trainable: flag(`${what}.trainable`, layer.trainable),
    options: fields(`${what}.options`, layer.options) as LayerDocument["options"],
  };
}

function checkGraph(value: unknown): GraphDocument {
  const graph = fields("graph", value);
  if (graph.format !== "sconce-graph" || graph.version !== 1) {
    throw new FormatError(
      `graph must have the format sconce-graph and version 1, got version ${String(graph.version)}`,
    );
  }
  const layers = list("graph.layers", graph.layers).map((entry, place) => checkLayer(`graph.layers[${place}]`, entry));
  const nodes = list("graph.nodes", graph.nodes).map((entry, place): NodeDocument => {
    const what = `graph.nodes[${place}]`;
    const node = fields(what, entry);
    return {
      layer: index(`${what}.layer`, node.layer, layers.length),
      inputs: references(`${what}.inputs`, node.inputs, place),
      ...(node.call !== undefined && { call: fields(`${what}.call`, node.call) as CallDocument }),
    };
  });
  return {
    format: "sconce-graph",
    version: 1,
    layers,
    nodes,
    inputs: references("graph.inputs", graph.inputs, nodes.length),
    outputs: references("graph.outputs", graph.outputs, nodes.length),
  };
}

/**
 * Checks what was read from `config.json`.
 *
 * @throws FormatError naming the field.
 */
export function checkConfig(value: unknown): ModelConfig {
  const config = fields("the file", value);
  if (config.format !== "sconce-model")
    throw new FormatError("format must be sconce-model: this is no model of sconce");
  if (config.version !== 1) throw new FormatError(`version ${String(config.version)} is not known; known is 1`);
  return {
    format: "sconce-model",
    version: 1,
    versions: { sconce: text("versions.sconce", fields("versions", config.versions).sconce) },
    name: text("name", config.name),
    singleOutput: flag("singleOutput", config.singleOutput),
    graph: checkGraph(config.graph),
    compile: config.compile === null ? null : (fields("compile", config.compile) as unknown as CompilationDocument),
  };
}

/**
 * What a model was compiled with.
 *
 * @throws FormatError if the document is wrong.
 */
export function restoreCompilation(value: CompilationDocument, outputs: number): Compilation {
  const document: Fields = { ...value };
  return asFormatError("compile", () => {
    checkKeys("compile", document, ["optimizer", "outputs", "seed"]);
    const entries = list("compile.outputs", document.outputs);
    if (entries.length !== outputs) throw new FormatError(`compile.outputs must have ${outputs} entries`);
    return {
      optimizer: restoreOptimizer(document.optimizer),
      seed: integerOption("compile", "seed", document.seed, 0),
      outputs: entries.map((entry) => {
        const { loss, metrics, weightedMetrics } = fields("compile.outputs", entry);
        const { weight, ...own } = loss === null ? { weight: 1 } : fields("compile.outputs.loss", loss);
        return {
          loss: loss === null ? null : restoreLoss(own),
          weight: numberOption("compile", "weight", weight, 0),
          metrics: list("compile.outputs.metrics", metrics).map(restoreMetric),
          // Models saved by earlier versions have none.
          weightedMetrics: list("compile.outputs.weightedMetrics", weightedMetrics ?? []).map(restoreMetric),
        };
      }),
    };
  });
}

/** Runs checks that are made for users' options on what a file holds. */
export function asFormatError<T>(what: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof FormatError || !(error instanceof SconceError)) throw error;
    throw new FormatError(`${what}: ${error.message}`, { cause: error });
  }
}

/** Throws if an option of a document was left out, which users may do but files may not. */
export function checkComplete(what: string, given: Fields, resolved: Fields): void {
  for (const key of Object.keys(resolved)) {
    if (!Object.hasOwn(given, key)) throw new OptionError(`${what}: the option ${key} is missing`);
  }
}
