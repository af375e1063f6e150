import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import ts from "typescript";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** All TypeScript files below a folder. */
function walk(folder: string): string[] {
  const names = readdirSync(`${root}/${folder}`, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`);
}

/** Lines of `await` outside of functions. */
function topLevelAwaits(name: string, source: string): number[] {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true);
  const lines: number[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) || ts.isClassStaticBlockDeclaration(node)) return;
    const waits =
      ts.isAwaitExpression(node) ||
      (ts.isForOfStatement(node) && node.awaitModifier !== undefined) ||
      (ts.isVariableDeclarationList(node) && (node.flags & ts.NodeFlags.AwaitUsing) === ts.NodeFlags.AwaitUsing);
    if (waits) lines.push(file.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lines;
}

test("the check finds every kind of top-level await", (t) => {
  t.deepEqual(topLevelAwaits("a.ts", "const a = await b;"), [1]);
  t.deepEqual(topLevelAwaits("a.ts", "\nfor await (const a of b) c();"), [2]);
  t.deepEqual(topLevelAwaits("a.ts", "await using a = b;"), [1]);
  t.deepEqual(topLevelAwaits("a.ts", "class A { static a = await b; }"), [1]);
  t.deepEqual(topLevelAwaits("a.ts", "async function f() { await b; } const g = async () => await f();"), []);
});

test("nothing that is imported awaits at top level", (t) => {
  const sources = walk("src");
  t.true(sources.length > 20);
  for (const name of [...sources, "index.js"]) {
    t.deepEqual(topLevelAwaits(name, readFileSync(`${root}/${name}`, "utf8")), [], name);
  }
});

test("the package can be required", (t) => {
  const program = `const { environment } = require("sconce"); console.log(typeof environment().version)`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", program], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  t.is(stdout.trim(), "string", stderr);
});
