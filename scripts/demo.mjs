// `npm run demo`: installs and builds what is missing, then runs examples/translate-en-zh.ts with the arguments given.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { install, run } from "./steps.mjs";

await install();
if (!readdirSync(".").some((name) => name.endsWith(".node"))) {
  const { code } = await run("npm run build:native");
  if (code !== 0) process.exit(code);
}
const parameters = ["--import=tsx", "examples/translate-en-zh.ts", ...process.argv.slice(2)];
const demo = spawn(process.execPath, parameters, { stdio: "inherit" });
// Ctrl-C reaches the demo itself: this process waits for its end.
process.on("SIGINT", () => {});
demo.on("close", (code) => process.exit(code ?? 1));
