import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OptionError } from "../errors.ts";
import { compilationDocument } from "../models/compile.ts";
import type { Model } from "../models/model.ts";
import type { SaveOptions } from "../models/model-options.ts";
import { environment } from "../native.ts";
import { checkKeys } from "../options.ts";
import { type ModelConfig, modelFiles } from "./config.ts";
import { replaceFolder } from "./folder.ts";

const reserved: readonly string[] = Object.values(modelFiles);

/** What `config.json` says of a model. */
function configOf(model: Model): ModelConfig {
  const { compilation } = model;
  return {
    format: "sconce-model",
    version: 1,
    versions: { sconce: environment().version },
    name: model.name,
    singleOutput: model.hasSingleOutput,
    graph: model.document,
    compile: compilation === undefined ? null : compilationDocument(compilation, compilation.optimizer.rateDocument),
  };
}

/**
 * Writes a model as a folder, whole or not at all.
 *
 * @param model - A built model.
 * @param folder - Where.
 * @param options - What else belongs into the folder.
 * @throws FileError if it cannot be written; StateError if the model is not built.
 * @internal
 */
export async function saveModel(model: Model, folder: string, options: SaveOptions = {}): Promise<void> {
  checkKeys("save", options, ["extraFiles"]);
  if (typeof folder !== "string" || folder === "") throw new OptionError("save: folder must be a path");
  const files = Object.entries(options.extraFiles ?? {});
  for (const [name] of files) {
    if (!/^[A-Za-z0-9][\w.-]{0,99}$/.test(name) || reserved.includes(name)) {
      throw new OptionError(`save: ${JSON.stringify(name)} cannot be the name of an extra file`);
    }
  }
  const config = configOf(model);
  await replaceFolder(folder, modelFiles.config, async (temporary) => {
    await model.saveWeights(join(temporary, modelFiles.weights));
    if (config.compile !== null) await model.trainer().saveState(join(temporary, modelFiles.optimizer));
    for (const [name, content] of files) await writeFile(join(temporary, name), content);
    await writeFile(join(temporary, modelFiles.config), `${JSON.stringify(config, null, 1)}\n`);
  });
}
