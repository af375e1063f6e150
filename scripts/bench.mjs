// `npm run bench -- NAME`: installs and builds what is missing, then measures what the sources are now.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { install, run } from "./steps.mjs";

await install();
const built = readdirSync(".").some((name) => name.endsWith(".node"));
const { code } = await run(built ? "npm run build:typescript" : "npm run build");
if (code !== 0) process.exit(code);
const parameters = ["--import=tsx", "bench/main.ts", ...process.argv.slice(2)];
const bench = spawn(process.execPath, parameters, { stdio: "inherit" });
bench.on("close", (code) => process.exit(code ?? 1));
