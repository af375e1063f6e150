// Runs the commands of the test and lint scripts, one after the other, with their output passed through.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";

const binaries = new URL("../node_modules/.bin", import.meta.url).pathname;

/** Runs a command line and resolves to its exit code and output. */
export function run(command) {
  process.stdout.write(`\n$ ${command}\n`);
  const environment = { ...process.env, PATH: `${binaries}:${process.env.PATH}`, FORCE_COLOR: "0" };
  return new Promise((resolve) => {
    const child = spawn(command, { shell: true, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output += text;
        process.stdout.write(text);
      });
    }
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Installs the packages if they are not there; no lock file, because one would break other platforms. */
export async function install() {
  if (!existsSync(new URL("../node_modules/.bin/napi", import.meta.url))) {
    const { code } = await run("npm install --no-package-lock --no-audit --no-fund");
    if (code !== 0) process.exit(code);
  }
}
