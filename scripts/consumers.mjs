// Installs the package as `npm pack` makes it (root and platform tarball) into a temporary folder and uses it from there:
// ECMAScript and CommonJS JavaScript, TypeScript under `nodenext` and `bundler` without skipLibCheck, and the command line. Then does what
// a newcomer does: types README's first program into an empty project and compares what it prints.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const binaries = join(root, "node_modules", ".bin");

function run(command, parameters, folder) {
  try {
    return execFileSync(command, parameters, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    throw new Error(`${command} ${parameters.join(" ")}:\n${error.stdout}${error.stderr}`);
  }
}

/** Packs the root package and that of this platform; returns the paths of both tarballs. */
function pack(folder) {
  const pack = (from) => {
    const output = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], from);
    return join(folder, JSON.parse(output)[0].filename);
  };
  const platforms = join(folder, "platforms");
  mkdirSync(platforms);
  copyFileSync(join(root, "package.json"), join(platforms, "package.json"));
  run(join(binaries, "napi"), ["create-npm-dirs", "--npm-dir", "npm"], platforms);
  const addon = readdirSync(root).find((name) => name.endsWith(".node"));
  if (addon === undefined) throw new Error("no addon: npm run build first");
  const platform = join(platforms, "npm", addon.replace(/^[^.]+\./, "").replace(/\.node$/, ""));
  copyFileSync(join(root, addon), join(platform, addon));
  return [pack(root), pack(platform)];
}

/** What a consumer must see: the program, and how to compile it first. */
const consumers = [
  { name: "ESM JavaScript", program: "program.mjs" },
  { name: "CommonJS JavaScript", program: "program.cjs" },
  { name: "TypeScript, nodenext", module: "nodenext", program: "nodenext/program.js" },
  { name: "TypeScript, bundler", module: "esnext", resolution: "bundler", program: "bundler/program.js" },
  {
    name: "command line",
    command: join("node_modules", ".bin", "sconce"),
    parameters: ["doctor"],
    prints: /^all is well$/m,
  },
];

function compile({ module, resolution }, folder) {
  const outDir = resolution ?? module;
  const compilerOptions = {
    module,
    ...(resolution === undefined ? {} : { moduleResolution: resolution }),
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    types: ["node"],
    typeRoots: [join(root, "node_modules", "@types")],
    outDir,
    rootDir: ".",
  };
  writeFileSync(join(folder, `${outDir}.json`), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  run(join(binaries, "tsc"), ["-p", `${outDir}.json`], folder);
}

/** An empty project with the package. */
function project(folder, tarballs) {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  run("npm", ["install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", ...tarballs], folder);
}

/** The program of README's section "First steps", and what it prints. */
function firstSteps() {
  const [, section] = readFileSync(join(root, "README.md"), "utf8").split("## First steps\n");
  const [, name] = /`node ([\w.]+)` prints/.exec(section);
  const [, program] = /```ts\n([\s\S]*?)```/.exec(section);
  const [, printed] = /```text\n([\s\S]*?)```/.exec(section);
  return { name, program, printed };
}

const folder = mkdtempSync(join(tmpdir(), "sconce-consumers-"));
let failed = 0;
try {
  const tarballs = pack(folder);
  const consumer = join(folder, "consumer");
  cpSync(join(root, "__test__", "package", "consumer"), consumer, { recursive: true });
  project(consumer, tarballs);
  const installed = JSON.parse(readFileSync(join(consumer, "node_modules", "sconce", "package.json"), "utf8"));
  console.log(`${installed.name} ${installed.version} in ${consumer}`);
  for (const described of consumers) {
    try {
      if (described.module !== undefined) compile(described, consumer);
      const { command = process.execPath, parameters = [described.program], prints = /^works$/ } = described;
      const output = run(command, parameters, consumer);
      if (!prints.test(output.trim())) throw new Error(`printed ${JSON.stringify(output)}`);
      console.log(`${described.name}: works`);
    } catch (error) {
      failed += 1;
      console.log(`${described.name}: ${error.message}`);
    }
  }
  const newcomer = join(folder, "newcomer");
  mkdirSync(newcomer);
  project(newcomer, tarballs);
  const { name, program, printed } = firstSteps();
  writeFileSync(join(newcomer, name), program);
  const output = run(process.execPath, [name], newcomer);
  if (output === printed) {
    console.log("README's first steps: work as printed");
  } else {
    failed += 1;
    console.log(`README's first steps: printed ${JSON.stringify(output)}, not ${JSON.stringify(printed)}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const count = consumers.length + 1;
console.log(`${count - failed} of ${count} consumers work`);
process.exitCode = failed === 0 ? 0 : 1;
