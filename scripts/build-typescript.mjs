// `npm run build:typescript`: makes `dist` from `src`. The code comes from esbuild in a few files, because a hundred small modules
// take longer to open than everything else that an import does; the declarations come from tsc.
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { run } from "./steps.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ["src/index.ts", "src/cli/main.ts"],
  outdir: dist,
  write: false,
  bundle: true,
  // The package and its command line share modules, or there would be two of each class.
  splitting: true,
  platform: "node",
  format: "esm",
  // A class that refers to itself would otherwise be called `_Model` in messages.
  keepNames: true,
  target: "node20.19",
  // The generated loader stays beside `dist`, where it finds the addon. esbuild writes its path as seen from `dist`: shared
  // chunks must lie there and not in a folder of their own. What the package depends on is installed with it.
  external: [join(root, "index.js"), ...Object.keys(dependencies)],
});
rmSync(dist, { recursive: true, force: true });
for (const { path, contents } of outputFiles) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}
chmodSync(join(dist, "cli", "main.js"), 0o755);

const { code } = await run("tsc -p tsconfig.build.json");
process.exit(code);
