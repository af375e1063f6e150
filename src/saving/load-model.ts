import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, fromFile, OptionError, SconceError } from "../errors.ts";
import { collectGraph } from "../graph/collect.ts";
import { model, type SingleOutputModel } from "../models/define.ts";
import type { Model } from "../models/model.ts";
import { asFormatError, checkConfig, type ModelConfig, modelFiles, restoreCompilation } from "./config.ts";
import { recoverFolder } from "./folder.ts";
import { restoreGraph } from "./restore-graph.ts";
import { checkLoad, type LoadOptions } from "./weight-type.ts";

/** Largest `config.json` that is read, in bytes. */
const maximumConfig = 64 * 2 ** 20;

async function readConfig(path: string): Promise<ModelConfig> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maximumConfig) throw new FormatError(`${path} has ${size} bytes: no config.json is so large`);
    text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    if (error instanceof TypeError) throw new FormatError(`${path} is not UTF-8`, { cause: error });
    throw fromFile("cannot read", path, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path} is no JSON: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  return inFile(path, () => checkConfig(value));
}

/** Names the file in errors of its checks. */
function inFile<T>(path: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw error instanceof FormatError ? new FormatError(`${path}: ${error.message}`, { cause: error }) : error;
  }
}

/**
 * Reads a model that `Model.save` wrote: graph, weights, and if it was compiled what it was compiled with and the state of
 * the optimiser, so that training goes on as if it had not been interrupted. A learning rate that was a plain function must be
 * set again.
 *
 * @param folder - The folder.
 * @param options - How its weights are kept; in fewer bits, the model is not compiled.
 * @returns The model; name its type if it has a list of outputs: `loadModel<MultiOutputModel>(folder)`.
 * @throws FileError if it cannot be read; FormatError if it is damaged, hostile or of an unknown version.
 */
export async function loadModel<Kind extends Model = SingleOutputModel>(
  folder: string,
  options: LoadOptions = {},
): Promise<Kind> {
  const dtype = checkLoad("loadModel", options);
  if (typeof folder !== "string" || folder === "") throw new OptionError("loadModel: folder must be a path");
  await recoverFolder(folder);
  const path = join(folder, modelFiles.config);
  const config = await readConfig(path);
  const weights = join(folder, modelFiles.weights);
  const { size } = await stat(weights).catch((error: unknown) => {
    throw fromFile("cannot read", weights, error);
  });
  const loaded = inFile(path, () => {
    const { inputs, outputs } = restoreGraph(config.graph);
    if (config.singleOutput && outputs.length !== 1) throw new FormatError("singleOutput needs a single output");
    // Sizes are believed only as far as there are bytes for them.
    const { layers } = asFormatError("graph", () => collectGraph(inputs, outputs));
    const needed = layers.reduce((sum, layer) => sum + 4 * layer.countParams(), 0);
    if (needed > size) throw new FormatError(`the graph needs ${needed} bytes of weights, ${weights} has ${size}`);
    const options = { inputs, name: config.name };
    return asFormatError("graph", () =>
      config.singleOutput ? model({ ...options, outputs: outputs[0]! }) : model({ ...options, outputs }),
    );
  });
  try {
    await loaded.loadWeights(weights, { format: "sconce", dtype });
    if (config.compile !== null && dtype === "float32") {
      const { compile } = config;
      inFile(path, () => loaded.compileWith(restoreCompilation(compile, loaded.outputs.length)));
      await loaded.trainer().loadState(join(folder, modelFiles.optimizer));
    }
  } catch (error) {
    loaded.dispose();
    throw error instanceof SconceError ? error : fromFile("cannot load", folder, error);
  }
  return loaded as Model as Kind;
}
