import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, fromFile } from "../errors.ts";
import { modelFolder } from "../saving/run-folder.ts";
import { checkAgainst } from "./config/check.ts";
import { type GenerationConfig, generationSchema } from "./config/schema.ts";

/** Name of the file beside a model that says how its texts are generated unless flags say otherwise. */
const name = "generation.json";

/** The file, as an extra one of a model. */
export function generationFile(generation: GenerationConfig): Record<string, string> {
  return { [name]: `${JSON.stringify(generation)}\n` };
}

/**
 * How texts are generated with a saved model.
 *
 * @throws FormatError if the file is damaged.
 */
export async function readGeneration(folder: string): Promise<GenerationConfig> {
  const path = join(await modelFolder(folder), name);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    // Models that Seq2Seq.save wrote have none.
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return checkAgainst(generationSchema, {}, String);
    throw fromFile("cannot read", path, error);
  }
  try {
    return checkAgainst(generationSchema, JSON.parse(text), (place) => `${path}: ${place}`);
  } catch (error) {
    throw new FormatError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}
