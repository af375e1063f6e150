import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { backupAndRestore, csvLogger, FileError, loadModel, modelCheckpoint } from "../../src/index.ts";
import { classifier, floats, ids, slowTagger } from "../boundary/small-model.ts";

/** A file system in memory of a size, or `undefined` where mounting is not allowed. */
async function mounted(t: ExecutionContext, size: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "sconce-place-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], { stdio: "ignore" });
  } catch {
    t.log("not tested: mounting a file system is not allowed here");
    t.pass();
    return undefined;
  }
  t.teardown(() => execFileSync("umount", [folder]));
  return folder;
}

async function content(folder: string): Promise<Record<string, Buffer>> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))])));
}

test("on a full disk saving is refused, and the old files stay with nothing beside them", async (t) => {
  const place = await mounted(t, "512k");
  if (place === undefined) return;
  const small = classifier();
  await small.build();
  const folder = join(place, "model");
  await small.save(folder);
  await small.saveWeights(join(place, "weights"));
  const [before, weights] = [await content(folder), await readFile(join(place, "weights"))];
  const { net: large } = slowTagger();
  await large.build();
  await t.throwsAsync(large.save(folder), { instanceOf: FileError, message: /no space|ENOSPC/i });
  await t.throwsAsync(large.saveWeights(join(place, "weights")), { instanceOf: FileError, message: /no space/i });
  const backup = backupAndRestore({ folder: join(place, "backup"), saveFreq: 1 });
  const { batch } = slowTagger();
  const running = large.fit(batch(4), batch(4), { verbose: 0, callbacks: [backup] });
  await t.throwsAsync(running, { instanceOf: FileError, message: /no space|ENOSPC/i });
  t.deepEqual(await content(folder), before);
  t.deepEqual(await readFile(join(place, "weights")), weights);
  t.deepEqual((await readdir(place)).sort(), ["model", "weights"]);
  await t.notThrowsAsync(loadModel(folder));
  await t.notThrowsAsync(large.predict(batch(2)), "the model goes on");
});

test("in a folder that cannot be written to saving is refused, and the old files stay", async (t) => {
  const place = await mounted(t, "1m");
  if (place === undefined) return;
  const net = classifier();
  await net.build();
  const folder = join(place, "model");
  await net.save(folder);
  const before = await content(folder);
  execFileSync("mount", ["-o", "remount,ro", place]);
  const expected = { instanceOf: FileError, message: /read-only/i };
  await t.throwsAsync(net.save(folder), expected);
  await t.throwsAsync(net.save(join(place, "other", "model")), { instanceOf: FileError });
  await t.throwsAsync(net.saveWeights(join(folder, "model.safetensors")), expected);
  t.deepEqual(await content(folder), before);
  t.deepEqual(await readdir(place), ["model"]);
  await t.notThrowsAsync(loadModel(folder));
});

test("callbacks that cannot write reject the run with a typed error", async (t) => {
  const place = await mkdtemp(join(tmpdir(), "sconce-place-"));
  t.teardown(() => rm(place, { recursive: true, force: true }));
  const file = join(place, "file");
  await writeFile(file, "content");
  const net = classifier();
  for (const callback of [
    modelCheckpoint({ path: join(file, "model") }),
    backupAndRestore({ folder: join(file, "backup") }),
    csvLogger({ path: join(file, "log.csv") }),
  ]) {
    const running = net.fit(floats(4, 3), ids(4, 4), { verbose: 0, callbacks: [callback] });
    await t.throwsAsync(running, { instanceOf: FileError }, callback.constructor.name);
  }
  t.is(await readFile(file, "utf8"), "content");
  t.deepEqual(await readdir(place), ["file"]);
  await mkdir(join(place, "folder"));
  await writeFile(join(place, "folder", "diary"), "mine");
  await t.throwsAsync(net.save(join(place, "folder")), { instanceOf: FileError, message: /other files/ });
  t.deepEqual(await readdir(join(place, "folder")), ["diary"]);
  for (const path of ["", "/", "\0", `${place}/a\0b`])
    await t.throwsAsync(net.save(path), undefined, JSON.stringify(path));
});
