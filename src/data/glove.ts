import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { FileError, FormatError, fromFile, SconceError } from "../errors.ts";
import { readGlove } from "../native.ts";

/** The words of a layer and their ids, such as a `Vocabulary`. */
export interface VocabularyLike {
  /** Count of ids. */
  readonly size: number;
  /** The token of each id, in the order of ids. */
  readonly tokens: readonly string[];
}

/** Vectors of words from one or more files. */
export interface WordVectors {
  /** `[words, dimension]`; 0 where a word was not found. */
  readonly matrix: Float32Array;
  /** Whether each word was found. */
  readonly found: readonly boolean[];
  /** Numbers in a vector. */
  readonly dimension: number;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** Where `"glove:50d"` is looked for: what `SCONCE_GLOVE` names, else the cache folder. */
function gloveFolder(): string {
  return process.env.SCONCE_GLOVE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sconce");
}

/**
 * The file that a short name such as `"50d"` means, or the path that another name is.
 *
 * `SCONCE_GLOVE` may name a folder or a file; without it the folder is `~/.cache/sconce`. In a folder the file is
 * `glove.6B.50d.txt` or that with `.gz`.
 *
 * @throws FileError naming what was looked for.
 */
async function findGlove(name: string): Promise<string> {
  const size = /^(\d{1,5})d$/.exec(name)?.[1];
  if (size === undefined) {
    const path = resolve(name);
    if (await isThere(path)) return path;
    throw new FileError(`there is no file ${path} with word vectors`);
  }
  const place = resolve(gloveFolder());
  if (/\.txt(\.gz)?$/.test(place) && (await isThere(place))) return place;
  for (const ending of ["txt", "txt.gz"]) {
    const path = join(place, `glove.6B.${size}d.${ending}`);
    if (await isThere(path)) return path;
  }
  throw new FileError(
    `there is no ${join(place, `glove.6B.${size}d.txt`)} or .txt.gz: set SCONCE_GLOVE to the folder or file of the vectors`,
  );
}

/**
 * Vectors of words in GloVe's text format, plain or gzip. Of several files, later ones fill words that are not found yet.
 *
 * @param paths - Files, or sizes such as `"50d"`.
 * @param words - Compared exactly.
 * @param dimension - Numbers in a vector; 0 takes the first file's.
 * @param signal - Cancels reading.
 * @throws FileError if a file is missing; FormatError if it is malformed or has another dimension.
 * @internal
 */
export async function readWordVectors(
  paths: readonly string[],
  words: readonly string[],
  dimension: number,
  signal?: AbortSignal,
): Promise<WordVectors> {
  const found = words.map(() => false);
  let matrix: Float32Array | undefined;
  let width = dimension;
  for (const name of paths) {
    const wanted = Array.from(words.keys()).filter((index) => !found[index]);
    if (wanted.length === 0) break;
    const path = await findGlove(name);
    const part = await readGlove(
      path,
      wanted.map((index) => words[index]!),
      width,
      signal,
    ).catch((error: unknown) => {
      throw error instanceof SconceError ? withPath(path, error) : error;
    });
    width = part.dimension;
    matrix ??= new Float32Array(words.length * width);
    for (const [row, index] of wanted.entries()) {
      if (part.found[row] !== 1) continue;
      found[index] = true;
      matrix.set(part.matrix.subarray(row * width, (row + 1) * width), index * width);
    }
  }
  return { matrix: matrix ?? new Float32Array(words.length * width), found, dimension: width };
}

function withPath(path: string, error: SconceError): SconceError {
  if (error.code === "FORMAT" && !error.message.includes(path)) {
    return new FormatError(`${path}: ${error.message}`, { cause: error });
  }
  return error.code === "FILE" && !error.message.includes(path) ? fromFile("cannot read", path, error.cause) : error;
}
