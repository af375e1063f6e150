// `npm test`: installs and builds what is missing, then lint, Rust tests, TypeScript tests and documentation.
// The last line counts every test; a command that has no tests of its own counts as one.
import { readFileSync } from "node:fs";
import { install, run } from "./steps.mjs";

await install();
let passed = 0;
let failed = 0;

/** Runs a command that counts as one test. */
async function single(command) {
  if ((await run(command)).code === 0) passed += 1;
  else failed += 1;
}

/** Runs a test runner whose output names its counts. */
async function counted(command, passedPattern, failedPattern) {
  const { code, output } = await run(command);
  const sum = (pattern) => [...output.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
  const failures = sum(failedPattern);
  passed += sum(passedPattern);
  failed += code === 0 ? failures : Math.max(failures, 1);
}

const generated = ["index.js", "index.d.ts"];
const read = () => generated.map((name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8"));
const committed = read();
await single("npm run build");
const changed = generated.filter((_, index) => read()[index] !== committed[index]);
if (changed.length > 0) process.stdout.write(`\n${changed.join(" and ")} changed in the build: commit them\n`);
if (changed.length === 0) passed += 1;
else failed += 1;
await single("npm run lint");
await counted("cargo test --release --workspace", /test result: \w+\. (\d+) passed/g, /passed; (\d+) failed/g);
await counted("ava", /(\d+) tests? passed/g, /(\d+) (?:tests?|uncaught exceptions?|unhandled rejections?) failed/g);
await single("typedoc");

process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
