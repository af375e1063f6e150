// `npm test`: installs and builds what is missing, then lint, Rust tests, TypeScript tests and documentation.
// The last line counts every test; a command that has no tests of its own counts as one.
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

await single("npm run build");
await single("npm run lint");
await counted("cargo test --release --workspace", /test result: \w+\. (\d+) passed/g, /passed; (\d+) failed/g);
await counted("ava", /(\d+) tests? passed/g, /(\d+) (?:tests?|uncaught exceptions?|unhandled rejections?) failed/g);
await single("typedoc");

process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
