import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import ts from "typescript";
import { examples, type Program, pages, programsOf, textOf } from "../helpers/code-blocks.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The errors of programs that lie, as far as the compiler knows, in a folder of the repository. */
function typeErrors(programs: readonly Program[]): string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root);
  // What stands in an explanation may be there to be seen and not to be used.
  const host = ts.createCompilerHost({ ...options, noUnusedLocals: false });
  const codes = new Map(programs.map((program, index) => [join(root, "__test__", "docs", `${index}.ts`), program]));
  const { readFile, fileExists } = host;
  host.fileExists = (path) => codes.has(path) || fileExists(path);
  host.readFile = (path) => codes.get(path)?.code ?? readFile(path);
  const program = ts.createProgram([...codes.keys()], { ...options, noUnusedLocals: false }, host);
  return [...codes].flatMap(([path, { file, line }]) => {
    const source = program.getSourceFile(path)!;
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ start, messageText }) => {
      const at = source.getLineAndCharacterOfPosition(start ?? 0).line;
      const place = file.endsWith(".md") ? at + 1 : at + line;
      return `${file}:${place}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
  });
}

/** Compares the names of the fields of the documented graph with those of the sources. */
const graphComparison = `
import type { GraphDocument as Own } from "../../src/graph/document.ts";
type Fields<T extends { layers: readonly unknown[]; nodes: readonly unknown[] }> =
  [keyof T, keyof T["layers"][number], keyof T["nodes"][number]];
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export const same: Same<Fields<GraphDocument>, Fields<Own>> = true;
`;

test("the code in the documentation has no type errors", (t) => {
  const documents = pages().flatMap(programsOf);
  const compared = documents.map((program) =>
    program.file === "docs/graph.md" ? { ...program, code: program.code + graphComparison } : program,
  );
  t.true(compared.some(({ code }) => code.endsWith(graphComparison)));
  t.true(documents.some(({ file }) => file === "README.md"));
  const comments = examples();
  const count = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .reduce((sum, name) => sum + textOf(`src/${name}`).split("@example").length - 1, 0);
  t.is(comments.length, count, "each @example is a ts block");
  const misspelt = {
    file: "wrong.md",
    line: 1,
    code: 'import { layers } from "sconce";\n\nlayers.dense({ unit: 5 });',
  };
  const errors = typeErrors([...compared, ...comments, misspelt]);
  t.regex(errors.pop() ?? "", /^wrong\.md:3: .*unit/s);
  t.deepEqual(errors, []);
});

test("the quick start runs", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sconce-readme-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  let { code } = programsOf("README.md")[1]!;
  const shorter: [string, string][] = [
    ["slice(0, 4000)", "slice(0, 80)"],
    ["units: 256", "units: 8"],
    ["epochs: 20", 'epochs: 2, verbose: "silent"'],
    ["runs/en-zh", join(folder, "en-zh").replaceAll("\\", "/")],
  ];
  for (const [long, short] of shorter) {
    t.true(code.includes(long), long);
    code = code.replaceAll(long, short);
  }
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", outputText], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  t.is(status, 0, stderr);
  t.regex(stdout, /\[ \d+\.\d+, \d+\.\d+ \]/, "the validation losses of two epochs");
});

test("links of the documentation lead to files, and its commands exist", (t) => {
  const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };
  const files = [...pages(), "CONTRIBUTING.md"];
  let links = 0;
  for (const file of files) {
    for (const [, target] of textOf(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      links += 1;
      const path = join(root, file, "..", target!);
      t.true(ts.sys.fileExists(path) || ts.sys.directoryExists(path), `${file}: ${target}`);
    }
    for (const [, script] of textOf(file).matchAll(/npm run ([\w:]+)/g)) {
      t.true(Object.hasOwn(scripts, script!), `${file}: npm run ${script}`);
    }
  }
  t.true(links > 5);
});
