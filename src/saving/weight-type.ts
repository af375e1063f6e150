import { checkKeys, nameOption } from "../options.ts";

/**
 * How the matrices of a model that is only run are kept: as they were trained, rounded to bfloat16 (half the memory), or as whole
 * numbers of 8 bits with a scale for each unit (a quarter), whose products also round what they multiply to 8 bits.
 */
export type WeightType = "float32" | "bfloat16" | "int8";

/** The types by name. */
export const weightTypes = ["float32", "bfloat16", "int8"] as const;

/** Options of `loadModel`, `Seq2Seq.load` and `LanguageModel.load`. */
export interface LoadOptions {
  /**
   * How matrices are kept that are only multiplied by linear layers (those of attention, feed-forward parts and outputs) or looked up
   * (embeddings), from 32 features and units on; kernels of recurrent layers and all else stay as they are. With `"bfloat16"` or
   * `"int8"` the model predicts and generates, faster and in less memory, but cannot be trained, evaluated by its loss, copied or
   * saved. Default `"float32"`.
   */
  dtype?: WeightType;
}

/**
 * Checks {@link LoadOptions}.
 *
 * @throws OptionError if one is unknown or wrong.
 */
export function checkLoad(where: string, options: LoadOptions): WeightType {
  checkKeys(where, options, ["dtype"]);
  return nameOption(where, "dtype", options.dtype ?? "float32", weightTypes);
}
