import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { FileError } from "../../src/index.ts";
import { recoverFolder, removeFolder, replaceFolder } from "../../src/saving/folder.ts";

async function place(t: ExecutionContext) {
  const parent = await mkdtemp(join(tmpdir(), "sconce-folder-"));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  const folder = join(parent, "model");
  const write = (content: string) =>
    replaceFolder(folder, "mark", (temporary) => writeFile(join(temporary, "mark"), content));
  const content = () => readFile(join(folder, "mark"), "utf8");
  return { parent, folder, write, content };
}

test("a writer that fails leaves the old folder and nothing beside it", async (t) => {
  const { parent, folder, write, content } = await place(t);
  await write("old");
  const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  const failing = replaceFolder(folder, "mark", async (temporary) => {
    await writeFile(join(temporary, "mark"), "half");
    throw full;
  });
  await t.throwsAsync(failing, { instanceOf: FileError, message: /model: ENOSPC/ });
  t.is(await content(), "old");
  t.deepEqual(await readdir(parent), ["model"]);
});

test("a folder is replaced with all it holds", async (t) => {
  const { folder, write, content } = await place(t);
  await write("old");
  await writeFile(join(folder, "extra"), "");
  await write("new");
  t.is(await content(), "new");
  t.deepEqual(await readdir(folder), ["mark"]);
});

test("what a dead process left is removed, what a living one writes is not", async (t) => {
  const { parent, write } = await place(t);
  await mkdir(join(parent, ".model.sconce-new-999999999-a"));
  await mkdir(join(parent, `.model.sconce-new-${process.pid}-b`));
  await mkdir(join(parent, ".model2.sconce-new-999999999-c"));
  await write("new");
  t.deepEqual((await readdir(parent)).sort(), [
    `.model.sconce-new-${process.pid}-b`,
    ".model2.sconce-new-999999999-c",
    "model",
  ]);
});

test("recovering takes the old folder only where there is no new one", async (t) => {
  const { parent, folder, write, content } = await place(t);
  await recoverFolder(folder);
  t.deepEqual(await readdir(parent), []);
  const aside = join(parent, ".model.sconce-old");
  await mkdir(aside);
  await writeFile(join(aside, "mark"), "old");
  await recoverFolder(folder);
  t.is(await content(), "old");
  await mkdir(aside);
  await recoverFolder(folder);
  t.deepEqual((await readdir(parent)).sort(), [".model.sconce-old", "model"]);
  await write("new");
  t.deepEqual(await readdir(parent), ["model"]);
});

test("removing takes the old folder beside along", async (t) => {
  const { parent, folder, write } = await place(t);
  await write("old");
  await mkdir(join(parent, ".model.sconce-old"));
  await removeFolder(folder);
  t.deepEqual(await readdir(parent), []);
  await t.notThrowsAsync(removeFolder(folder));
});
