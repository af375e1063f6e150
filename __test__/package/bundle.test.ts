import { readdirSync, readFileSync, statSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dist = resolve(root, "dist");
const files = readdirSync(dist, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".js"))
  .map((name) => {
    const text = readFileSync(resolve(dist, name), "utf8");
    // Examples in comments import too.
    return { path: resolve(dist, name), text: text.replace(/\/\*[\s\S]*?\*\//g, "") };
  });

test("the package and its command line share modules: each class exists once", (t) => {
  // esbuild gives each class its name back in a static block.
  const classes = files.flatMap(({ text }) =>
    [...text.matchAll(/\b__name\(this, "(\w+)"\)/g)].map(([, name]) => name!),
  );
  t.true(classes.includes("SconceError"));
  t.true(classes.includes("Model"));
  t.deepEqual(
    classes.filter((name, index) => classes.indexOf(name) !== index),
    [],
  );
});

test("classes are called in the package as in the sources", async (t) => {
  const sconce = (await import(resolve(dist, "index.js"))) as typeof import("../../src/index.ts");
  for (const name of [
    "Dataset",
    "Model",
    "ParallelText",
    "SconceError",
    "Seq2Seq",
    "Tokenizer",
    "Vocabulary",
  ] as const) {
    t.is(sconce[name].name, name);
  }
});

test("the built files import each other, the loader, modules of Node and dependencies, and nothing else", (t) => {
  const imported = files.flatMap(({ path, text }) =>
    [...text.matchAll(/(?:\bfrom|^import|\bimport\() ?"([^"]+)"/gm)].map((match) => ({ path, name: match[1]! })),
  );
  const known = new Set([resolve(root, "index.js"), ...files.map(({ path }) => path)]);
  const { dependencies } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")) as { dependencies: object };
  const used = new Set(imported.flatMap(({ name }) => (Object.hasOwn(dependencies, name) ? [name] : [])));
  t.deepEqual([...used].sort(), Object.keys(dependencies).sort());
  t.true(imported.some(({ path, name }) => resolve(dirname(path), name) === resolve(root, "index.js")));
  for (const { path, name } of imported) {
    if (name.startsWith("node:")) t.true(builtinModules.includes(name.slice("node:".length)), `${path}: ${name}`);
    else if (!used.has(name)) t.true(known.has(resolve(dirname(path), name)), `${path}: ${name}`);
  }
});

test("importing the package opens few files", (t) => {
  const opened = new Set<string>();
  const open = (path: string): void => {
    if (opened.has(path)) return;
    opened.add(path);
    const { text } = files.find((file) => file.path === path)!;
    // Static imports only: those of `import()` wait until they are needed.
    for (const [, name] of text.matchAll(/(?:\bfrom|^import) "(\.[^"]+)"/gm)) {
      const target = resolve(dirname(path), name!);
      if (target.startsWith(`${dist}/`)) open(target);
    }
  };
  open(resolve(dist, "index.js"));
  t.true(opened.size > 1);
  t.true(opened.size <= 6, [...opened].join("\n"));
});

test("the command line can be executed", (t) => {
  const path = resolve(dist, "cli/main.js");
  t.true(readFileSync(path, "utf8").startsWith("#!/usr/bin/env node\n"));
  if (process.platform !== "win32") t.is(statSync(path).mode & 0o111, 0o111);
});
