import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { FileError, fromFile } from "../errors.ts";
import { syncFile } from "../native.ts";

/**
 * Folders are written whole: to a temporary sibling, synced, and put in the place of the old one by renaming. Between the
 * two renames the old folder lies beside under {@link asidePath}; {@link recoverFolder} brings it back if the process died
 * there.
 */
function asidePath(folder: string): string {
  return join(dirname(folder), `.${basename(folder)}.sconce-old`);
}

function temporaryPrefix(folder: string): string {
  return `.${basename(folder)}.sconce-new-`;
}

/** Tells two writes of one process apart. The global, not node:crypto: Node loads it when it is used first. */
function randomSuffix(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
}

/** Whether something exists at a path. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return false;
    throw fromFile("cannot read", path, error);
  }
}

/**
 * Brings back a folder that a killed process had moved aside while it replaced it; does nothing if there is none.
 *
 * @internal
 */
export async function recoverFolder(folder: string): Promise<void> {
  const place = resolve(folder);
  const aside = asidePath(place);
  if (!(await exists(aside)) || (await exists(place))) return;
  try {
    await rename(aside, place);
  } catch (error) {
    throw fromFile("cannot restore", place, error);
  }
}

/** Removes what killed processes left beside a folder. */
async function removeLeftovers(place: string): Promise<void> {
  const prefix = temporaryPrefix(place);
  for (const name of await readdir(dirname(place))) {
    if (!name.startsWith(prefix)) continue;
    const owner = Number(name.slice(prefix.length).split("-")[0]);
    if (!isAlive(owner)) await rm(join(dirname(place), name), { recursive: true, force: true });
  }
}

function isAlive(id: number): boolean {
  if (!Number.isSafeInteger(id) || id <= 0) return true;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

/**
 * Writes a folder so that at every moment, also if the process dies, the old one or the new one can be read whole.
 *
 * @param folder - Where; its parents are made, an old folder is replaced with all it holds.
 * @param marker - Name of a file that an old folder must hold, so that no other folder is replaced by mistake.
 * @param write - Writes the files into the temporary folder that it is given.
 * @throws FileError if something cannot be written, or if at `folder` lies something without `marker`.
 * @internal
 */
export async function replaceFolder(
  folder: string,
  marker: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const place = resolve(folder);
  if (basename(place) === "") throw new FileError(`${folder} is no place for a folder`);
  try {
    await mkdir(dirname(place), { recursive: true });
    await recoverFolder(place);
    await checkReplaceable(place, marker);
    await removeLeftovers(place);
  } catch (error) {
    throw fromFile("cannot write", place, error);
  }
  const temporary = join(dirname(place), `${temporaryPrefix(place)}${process.pid}-${randomSuffix()}`);
  try {
    await mkdir(temporary);
    await write(temporary);
    for (const name of await readdir(temporary)) await syncFile(join(temporary, name));
    await syncFile(temporary);
    await swap(temporary, place);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw fromFile("cannot write", place, error);
  }
}

async function checkReplaceable(place: string, marker: string): Promise<void> {
  if (!(await exists(place))) return;
  if (!(await stat(place)).isDirectory()) throw new FileError(`${place} is a file, not a folder`);
  const names = await readdir(place);
  if (names.length > 0 && !names.includes(marker)) {
    throw new FileError(`${place} holds other files and no ${marker}: choose a new folder`);
  }
}

async function swap(temporary: string, place: string): Promise<void> {
  const aside = asidePath(place);
  const parent = dirname(place);
  if (!(await exists(place))) {
    await rename(temporary, place);
    await syncFile(parent);
    return;
  }
  await rm(aside, { recursive: true, force: true });
  await rename(place, aside);
  try {
    await rename(temporary, place);
  } catch (error) {
    await rename(aside, place);
    throw error;
  }
  await syncFile(parent);
  await rm(aside, { recursive: true, force: true });
}

/**
 * Removes a folder so that at no moment a part of it lies in its place.
 *
 * @param folder - Does nothing if there is none.
 * @throws FileError if it cannot be removed.
 * @internal
 */
export async function removeFolder(folder: string): Promise<void> {
  const place = resolve(folder);
  try {
    // First the old one beside it: alone, it would be taken for the remains of a write.
    await rm(asidePath(place), { recursive: true, force: true });
    if (!(await exists(place))) return;
    const temporary = join(dirname(place), `${temporaryPrefix(place)}${process.pid}-${randomSuffix()}`);
    await rename(place, temporary);
    await rm(temporary, { recursive: true, force: true });
  } catch (error) {
    throw fromFile("cannot remove", place, error);
  }
}
