import { access } from "node:fs/promises";
import { join } from "node:path";
import { modelFiles } from "./config.ts";
import { recoverFolder } from "./folder.ts";

/** What `sconce train` writes into the folder of a run. */
export const runFiles = {
  /** The configuration, filled up; it marks the folder. */
  config: "config.yaml",
  /** The model after the best epoch so far. */
  best: "best",
  /** The model after the last epoch so far. */
  last: "last",
  /** The models after the last epochs, if they are kept. */
  models: "models",
  /** What an interrupted run goes on from. */
  checkpoint: "checkpoint",
  /** The values of each epoch. */
  log: "log.csv",
  /** What some pairs were translated to after each epoch. */
  samples: "samples.txt",
  /** Written when the run is over. */
  result: "result.json",
} as const;

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The folder of the model that a folder stands for: that of a run for its best one, or else its last. */
export async function modelFolder(folder: string): Promise<string> {
  // What is no path is refused by who reads it.
  if (typeof folder !== "string") return folder;
  if ((await exists(join(folder, modelFiles.config))) || !(await exists(join(folder, runFiles.config)))) return folder;
  for (const name of [runFiles.best, runFiles.last]) {
    const place = join(folder, name);
    await recoverFolder(place);
    if (await exists(join(place, modelFiles.config))) return place;
  }
  return folder;
}
