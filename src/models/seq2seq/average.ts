import { DataError, OptionError } from "../../errors.ts";
import type { WeightArray } from "../../layers/weights.ts";
import { checkKeys, checkSignal } from "../../options.ts";
import { Seq2Seq } from "../seq2seq.ts";

/** Options of {@link averageCheckpoints}. */
export interface AverageOptions {
  /** Stops between two folders; the rejection is its reason. */
  signal?: AbortSignal;
}

/**
 * The translator whose weights are the means of those of several, such as the last checkpoints of a run; that often translates
 * better than each of them. What training would go on with is that of the first.
 *
 * @param folders - Folders that `Seq2Seq.save` or `sconce train` wrote, one or more, all of one kind.
 * @param options - Signal.
 * @returns A new translator, which should be disposed of after use.
 * @throws OptionError if there is no folder; DataError if one holds another kind of translator than the first; what `Seq2Seq.load` throws.
 *
 * @example
 * ```ts
 * import { averageCheckpoints } from "sconce";
 *
 * const translator = await averageCheckpoints(["runs/a/models/epoch-0009", "runs/a/models/epoch-0010"]);
 * await translator.save("runs/a-mean");
 * ```
 */
export async function averageCheckpoints(folders: readonly string[], options: AverageOptions = {}): Promise<Seq2Seq> {
  const where = "averageCheckpoints";
  checkKeys(where, options, ["signal"]);
  const { signal } = options;
  checkSignal(where, signal);
  if (!Array.isArray(folders) || folders.length === 0) {
    throw new OptionError(`${where}: expected a list of one or more folders`);
  }
  const [first, ...others] = folders as [string, ...string[]];
  signal?.throwIfAborted();
  const translator = await Seq2Seq.load(first);
  try {
    const weights = await translator.model.getWeights();
    const sums = weights.map(({ data }) => Float64Array.from(data));
    const kind = kindOf(translator);
    // One at a time: memory for two is enough, however many there are.
    for (const folder of others) {
      signal?.throwIfAborted();
      await using other = await Seq2Seq.load(folder);
      if (kindOf(other) !== kind) {
        throw new DataError(
          `${where}: ${folder} is another kind of translator than ${first}: average checkpoints of one run`,
        );
      }
      for (const [index, { data }] of (await other.model.getWeights()).entries()) addTo(sums[index]!, data);
    }
    await translator.model.setWeights(weights.map(({ shape }, index) => mean(sums[index]!, folders.length, shape)));
    return translator;
  } catch (error) {
    translator.dispose();
    throw error;
  }
}

/** What must be the same in all: graph but for initial values, and tokenizers. */
function kindOf({ model, source, target }: Seq2Seq): string {
  const parts = [model.document, source, target];
  return JSON.stringify(parts, (key, value) => (key.endsWith("Initializer") ? undefined : value));
}

function addTo(sum: Float64Array, values: Float32Array): void {
  for (let index = 0; index < sum.length; index++) sum[index]! += values[index]!;
}

function mean(sum: Float64Array, count: number, shape: readonly number[]): WeightArray {
  return { data: Float32Array.from(sum, (value) => value / count), shape };
}
