// `npm run lint`: formatting, clippy, Biome, types, and two rules of this project that no linter knows.
import { readFileSync } from "node:fs";
import { install, run } from "./steps.mjs";

await install();
let failed = 0;
for (const command of [
  "cargo fmt --all --check",
  "cargo clippy --release --workspace --all-targets -- -D warnings",
  "biome check",
  "tsc",
]) {
  if ((await run(command)).code !== 0) failed += 1;
}

// An unguarded panic in an export ends the process.
const binding = readFileSync("crates/node/src/lib.rs", "utf8");
for (const attribute of binding.matchAll(/#\[napi(\([^\]]*\))?\]\s*(?:#\[[^\]]*\]\s*)*pub fn (\w+)/g)) {
  if (!attribute[1]?.includes("catch_unwind")) {
    process.stdout.write(`crates/node/src/lib.rs: ${attribute[2]} lacks catch_unwind\n`);
    failed += 1;
  }
}
process.exit(failed === 0 ? 0 : 1);
