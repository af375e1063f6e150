import { readWordVectors, type VocabularyLike } from "../data/glove.ts";
import { philox } from "../data/random.ts";
import { FileError, FormatError, OptionError, SconceError } from "../errors.ts";
import { booleanOption, checkKeys, nameOption } from "../options.ts";
import type { Provider } from "./initializer.ts";

/** Options of {@link glove}. */
export interface GloveOptions {
  /**
   * A file in GloVe's text format, plain or gzip, or a size such as `"50d"` (see {@link glove}); of several, later ones
   * fill words that are not found yet.
   */
  path: string | readonly string[];
  /** Whether training changes the vectors; default the `trainable` of the layer. */
  trainable?: boolean;
  /**
   * How words that are not found begin: `"uniform"` at random between -0.05 and 0.05, `"zeros"`, or `"mean"`, the mean of
   * the vectors that are found; default `"uniform"`. The padding row is 0 in any case.
   */
  unknownWords?: UnknownWords;
}

/** How words without a vector begin. */
export type UnknownWords = "uniform" | "zeros" | "mean";

const unknownWords = ["uniform", "zeros", "mean"] as const;

/** Which words of a vocabulary have vectors. */
export interface Coverage {
  /** Words with a vector, in the order of ids. */
  found: string[];
  /** Words without: their vectors begin as the option `unknownWords` says. */
  notFound: string[];
}

/** Pre-trained word vectors as the initialiser of an embedding. */
export class GloveInitializer {
  /** Files or sizes. */
  readonly paths: readonly string[];
  /** Whether training changes the vectors, if that was said. */
  readonly trainable: boolean | undefined;
  /** How words that are not found begin. */
  readonly unknownWords: UnknownWords;

  /** @internal */
  constructor(paths: readonly string[], trainable: boolean | undefined, unknown: UnknownWords = "uniform") {
    this.paths = paths;
    this.trainable = trainable;
    this.unknownWords = unknown;
  }
}

/**
 * Pre-trained word vectors as the `embeddingsInitializer` of an embedding; the words are those of its `vocabulary`.
 *
 * `"50d"` is the file `glove.6B.50d.txt` or `glove.6B.50d.txt.gz` in the folder that the environment variable
 * `SCONCE_GLOVE` names (which may also name the file), else in `~/.cache/sconce`. Nothing is read before the weights are
 * built. Words that are not found begin uniformly between -0.05 and 0.05 unless `unknownWords` says otherwise.
 *
 * @param options - Where the vectors are.
 * @throws OptionError if an option is unknown or wrong.
 * @see Pennington, Socher and Manning, "GloVe: Global Vectors for Word Representation" (2014).
 */
export function glove(options: GloveOptions): GloveInitializer {
  checkKeys("glove", options, ["path", "trainable", "unknownWords"]);
  const paths = typeof options.path === "string" ? [options.path] : [...(options.path ?? [])];
  if (paths.length === 0 || paths.some((path) => typeof path !== "string" || path === "")) {
    throw new OptionError("glove: path must be a path or a list of paths");
  }
  const { trainable } = options;
  if (trainable !== undefined) booleanOption("glove", "trainable", trainable);
  const unknown = nameOption("glove", "unknownWords", options.unknownWords ?? "uniform", unknownWords);
  return new GloveInitializer(paths, trainable, unknown);
}

/** A table of word vectors for one embedding. */
export class GloveTable {
  readonly #paths: readonly string[];
  readonly #unknownWords: UnknownWords;
  readonly #vocabulary: VocabularyLike;
  readonly #options: { inputDim: number; outputDim: number; maskZero: boolean };
  #coverage: Coverage | undefined;

  constructor(
    initializer: GloveInitializer,
    vocabulary: VocabularyLike,
    options: { inputDim: number; outputDim: number; maskZero: boolean },
  ) {
    this.#paths = initializer.paths;
    this.#unknownWords = initializer.unknownWords;
    this.#vocabulary = vocabulary;
    this.#options = options;
  }

  /** Fills the table: vectors of words, what was asked for in other rows, and zeros in the padding row. */
  readonly provide: Provider = async ({ layer, seed, signal }) => {
    const { inputDim, outputDim, maskZero } = this.#options;
    const { matrix, found } = await this.#read(layer, signal);
    const table =
      this.#unknownWords === "uniform"
        ? uniformTable(layer, seed, inputDim, outputDim)
        : new Float32Array(inputDim * outputDim);
    if (this.#unknownWords === "mean") fillRows(table, meanRow(matrix, found, outputDim));
    const first = maskZero ? 1 : 0;
    for (const [index, isFound] of found.entries()) {
      const row = index + first;
      if (isFound) table.set(matrix.subarray(index * outputDim, (index + 1) * outputDim), row * outputDim);
    }
    if (maskZero) table.fill(0, 0, outputDim);
    return table;
  };

  /** Words found and not found; reads the files if they were not read yet. */
  async coverage(layer: string, signal?: AbortSignal): Promise<Coverage> {
    if (this.#coverage === undefined) await this.#read(layer, signal);
    const { found, notFound } = this.#coverage!;
    return { found: [...found], notFound: [...notFound] };
  }

  async #read(
    layer: string,
    signal: AbortSignal | undefined,
  ): Promise<{ matrix: Float32Array; found: readonly boolean[] }> {
    const words = this.#vocabulary.tokens.slice(this.#options.maskZero ? 1 : 0);
    try {
      const { matrix, found } = await readWordVectors(this.#paths, words, this.#options.outputDim, signal);
      this.#coverage = {
        found: words.filter((_, index) => found[index]),
        notFound: words.filter((_, index) => !found[index]),
      };
      return { matrix, found };
    } catch (error) {
      if (!(error instanceof SconceError)) throw error;
      const message = `layer ${layer}: ${error.message}`;
      if (error.code === "FILE") throw new FileError(message, { cause: error });
      throw error.code === "FORMAT" ? new FormatError(message, { cause: error }) : error;
    }
  }
}

/** The mean of the rows that were found; 0 if there are none. */
function meanRow(matrix: Float32Array, found: readonly boolean[], width: number): Float32Array {
  const sum = new Float64Array(width);
  const count = found.filter(Boolean).length;
  for (const [row, isFound] of found.entries()) {
    for (let index = 0; isFound && index < width; index++) sum[index]! += matrix[row * width + index]!;
  }
  return Float32Array.from(sum, (value) => (count === 0 ? 0 : value / count));
}

function fillRows(table: Float32Array, row: Float32Array): void {
  for (let start = 0; start < table.length; start += row.length) table.set(row, start);
}

/** Marks the stream of random numbers of this module among others with the same key. */
const stream = 0x676c6f76;

/** Numbers between -0.05 and 0.05 that depend on the seed, the layer's name and the place alone. */
function uniformTable(layer: string, seed: number, rows: number, width: number): Float32Array<ArrayBuffer> {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  let mark = stream;
  for (const character of layer) mark = (Math.imul(mark, 31) + character.codePointAt(0)!) >>> 0;
  const table = new Float32Array(rows * width);
  for (let start = 0; start < table.length; start += 4) {
    const words = philox([(start / 4) >>> 0, Math.floor(start / 4 / 2 ** 32), mark, stream], key);
    for (let lane = 0; lane < 4 && start + lane < table.length; lane++) {
      table[start + lane] = (words[lane]! / 2 ** 32 - 0.5) * 0.1;
    }
  }
  return table;
}
